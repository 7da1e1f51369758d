"""Connections to the telemetry database, and the arrays that it returns."""
