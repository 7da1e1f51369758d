"""Reading credentials from a header and a cookie."""

from __future__ import annotations

import pytest

from auth_app.credentials import NO_TOKEN, credentials_of
from auth_app.identity import Credentials

SESSION = "abcdefgh12345678abcdefgh12345678"


def test_nothing_is_nothing() -> None:
    assert credentials_of(None, None) == Credentials()


def test_a_session_counts_where_there_is_no_header() -> None:
    assert credentials_of(None, SESSION) == Credentials(session_key=SESSION)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer  abc", " BEARER abc "])
def test_a_bearer_token_wins_over_a_session(header: str) -> None:
    assert credentials_of(header, SESSION) == Credentials(bearer="abc")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a b", "Basic abc", "Bearer é", "Bearer a,Bearer b"]
)
def test_what_is_no_bearer_token_is_a_bad_one(header: str) -> None:
    assert credentials_of(header, SESSION) == Credentials(bearer=NO_TOKEN)


@pytest.mark.parametrize("key", ["", "short", "UPPERCASE1234567", "a\x00bcdefgh", "a" * 41])
def test_what_is_no_session_key_is_none(key: str) -> None:
    assert credentials_of(None, key) == Credentials()
