"""The one answer for a device of somebody else and for one that does not exist."""

from __future__ import annotations

import httpx

from tests.auth_app.answers import assert_problem


def assert_forbidden_alike(*answers: httpx.Response, code: str = "forbidden") -> None:
    for answer in answers:
        assert_problem(answer, 403, code=code)
    assert len({answer.content for answer in answers}) == 1
    headers = {tuple(sorted(item for item in answer.headers.items() if item[0] != "date")) for answer in answers}
    assert len(headers) == 1
