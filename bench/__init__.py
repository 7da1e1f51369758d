"""Benchmarks: each measures wattstream and its peers in the same run. They are not tests."""
