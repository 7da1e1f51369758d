"""Tests of devices_app: one file per endpoint or module."""
