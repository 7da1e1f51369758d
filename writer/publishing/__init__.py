"""Readings into Redis."""
