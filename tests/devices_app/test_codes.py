"""Claim codes."""

from __future__ import annotations

from devices_app.codes import claim_code_digest, claim_code_make


def test_codes_are_unique() -> None:
    assert len({claim_code_make() for _ in range(1000)}) == 1000


def test_similar_characters_of_a_code_are_equal() -> None:
    assert claim_code_digest("10ab-") == claim_code_digest("lOAB") == claim_code_digest("I0 aB")
    assert claim_code_digest("10ab") != claim_code_digest("10ac")
