"""Tests of auth_app: one file an endpoint or module."""
