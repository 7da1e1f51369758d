"""Tests of devices_app: one file an endpoint or module."""
