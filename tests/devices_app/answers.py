"""The one answer for a device of somebody else and for one that does not exist."""

from __future__ import annotations

import httpx

from tests.auth_app.answers import assert_problem


def assert_forbidden_alike(*answers: httpx.Response) -> None:
    for answer in answers:
        assert_problem(answer, 403, code="forbidden")
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(set(answer.headers) - {"date"})) for answer in answers}) == 1
