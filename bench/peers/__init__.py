"""Peers of wattstream in the measurements: textbook implementations, and the same work without access checks."""
