"""The identical response for a foreign and a nonexistent device."""

from __future__ import annotations

import httpx

from tests.auth_app.answers import assert_problem

ALWAYS_NEW = ("date", "x-request-id")


def assert_forbidden_alike(*answers: httpx.Response, code: str = "forbidden") -> None:
    for answer in answers:
        assert_problem(answer, 403, code=code)
    assert len({answer.content for answer in answers}) == 1
    headers = [{name: value for name, value in answer.headers.items() if name not in ALWAYS_NEW} for answer in answers]
    assert all(some == headers[0] for some in headers)
