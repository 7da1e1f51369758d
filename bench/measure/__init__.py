"""Measure processes and search for limits."""
