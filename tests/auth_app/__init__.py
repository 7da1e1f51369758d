"""Tests of auth_app: one file per endpoint or module."""
