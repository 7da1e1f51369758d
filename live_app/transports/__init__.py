"""Websockets and event streams."""
