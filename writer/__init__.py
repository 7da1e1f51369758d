"""The writer: validates, stores and publishes readings. Knows telemetry/ and nothing of Django."""
