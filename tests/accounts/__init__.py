"""Tests of the accounts database: both kinds, concurrent writers, absence, backup."""
