"""OpenAPI declarations of the schema routes."""

from __future__ import annotations

from core.openapi import IF_NONE_MATCH, STRING, Operation, ResponseSpec, json_response

_UNCHANGED = ResponseSpec(
    "Nothing has changed since the `ETag` in `If-None-Match`; there is no body.", headers=("ETag",)
)

SCHEMA = Operation(
    summary="This document",
    parameters={"If-None-Match": IF_NONE_MATCH},
    responses={200: json_response("OpenAPI 3.1.", {"type": "object"}, headers=("ETag",)), 304: _UNCHANGED},
)
DOCS = Operation(
    summary="This document as a page",
    parameters={"If-None-Match": IF_NONE_MATCH},
    responses={200: ResponseSpec("The page.", {"text/html": STRING}, headers=("ETag",)), 304: _UNCHANGED},
)
