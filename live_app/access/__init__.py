"""Admission to live sockets, and the end of access."""
