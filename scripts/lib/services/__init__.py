"""TimescaleDB and Redis for this checkout."""
