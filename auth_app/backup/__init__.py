"""Backups of the accounts database: docs/backup.md."""
