"""Problem documents (RFC 9457): the body of every error response, of the server and of the writer."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

CONTENT_TYPE = "application/problem+json"


def problem_document(status: int, detail: str, code: str, extra: Mapping[str, object] | None = None) -> dict[str, Any]:
    """`status`, `title`, `detail`, a stable `code`, and the members of `extra`."""
    return {"status": status, "title": HTTPStatus(status).phrase, "detail": detail, "code": code, **(extra or {})}


def problem_body(status: int, detail: str, code: str, extra: Mapping[str, object] | None = None) -> bytes:
    """The document as JSON."""
    return orjson.dumps(problem_document(status, detail, code, extra))
