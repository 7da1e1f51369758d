"""The statements that read the telemetry database."""
