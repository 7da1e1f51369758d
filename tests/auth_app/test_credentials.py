"""Credentials from the Authorization header and the session cookie."""

from __future__ import annotations

import pytest

from auth_app.credentials import NO_TOKEN, credentials_of
from auth_app.identity import Credentials

SESSION = "abcdefgh12345678abcdefgh12345678"


def test_no_header_and_no_cookie_are_no_credentials() -> None:
    assert credentials_of(None, None) == Credentials()


def test_a_session_counts_without_a_header() -> None:
    assert credentials_of(None, SESSION) == Credentials(session_key=SESSION)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer  abc", " BEARER abc "])
def test_a_bearer_token_wins_over_a_session(header: str) -> None:
    assert credentials_of(header, SESSION) == Credentials(bearer="abc")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a b", "Basic abc", "Bearer é", "Bearer a,Bearer b"]
)
def test_other_authorization_headers_are_bad_tokens(header: str) -> None:
    assert credentials_of(header, SESSION) == Credentials(bearer=NO_TOKEN)


@pytest.mark.parametrize("key", ["", "short", "UPPERCASE1234567", "a\x00bcdefgh", "a" * 41])
def test_an_invalid_session_key_is_ignored(key: str) -> None:
    assert credentials_of(None, key) == Credentials()
