"""Attacks by strangers, users and devices on the real services."""
