"""Tests of the accounts database: SQLite and PostgreSQL, concurrent writers, outages, backup."""
