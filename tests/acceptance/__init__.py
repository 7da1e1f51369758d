"""Acceptance tests: real devices send to the writer, users query the server."""
