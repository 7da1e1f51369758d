"""Locking, auditing and listing the packages."""
