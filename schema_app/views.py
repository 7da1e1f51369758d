"""GET /api/schema and GET /api/docs. Public: they contain nothing that the source code does not."""

from __future__ import annotations

from functools import cache

import orjson
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from core.openapi import described
from core.public import public_view, unchanging
from schema_app import declarations
from schema_app.openapi import published_document
from schema_app.pages import page_context


@described(declarations.SCHEMA)
@public_view
async def schema(request: HttpRequest) -> HttpResponse:
    return unchanging(request, _schema_body(), "application/json")


@described(declarations.DOCS)
@public_view
async def docs(request: HttpRequest) -> HttpResponse:
    return unchanging(request, _docs_body(), "text/html; charset=utf-8")


@cache
def _schema_body() -> bytes:
    return orjson.dumps(published_document(), option=orjson.OPT_INDENT_2)


@cache
def _docs_body() -> bytes:
    return render_to_string("schema_app/docs.html", page_context(published_document())).encode()
