"""Simulated households. Never imported by production code."""
