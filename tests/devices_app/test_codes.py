"""Claim codes."""

from __future__ import annotations

from devices_app.codes import claim_code_digest, claim_code_make


def test_codes_differ() -> None:
    assert len({claim_code_make() for _ in range(1000)}) == 1000


def test_a_code_is_read_as_it_was_meant() -> None:
    assert claim_code_digest("10ab-") == claim_code_digest("lOAB") == claim_code_digest("I0 aB")
    assert claim_code_digest("10ab") != claim_code_digest("10ac")
