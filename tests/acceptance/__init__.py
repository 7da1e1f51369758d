"""Promises of the product from a user's view: real devices send to the writer, people ask the server."""
