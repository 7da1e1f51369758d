"""Authorisation: devices, grants, claim, transfer."""
