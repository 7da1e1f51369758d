"""Readings into TimescaleDB."""
