"""Measurements, each beside its peers in one run. Not tests."""
