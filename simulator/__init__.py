"""Simulated households. Production code never imports this package."""
