"""Unexpected errors: complete in the log, in general words for the client, for both kinds of views.

The failing views belong to the test, as no real view is known to fail. The handlers are the server's.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from asgi_project.asgi import django_application
from auth_app.http.handler import HotHandler
from core import problems
from core.hot import hot_of
from core.public import public_view

SECRET = "postgresql://reader:hunter2@telemetry"


async def hot_failing(request: HttpRequest, rest: str = "") -> HttpResponse:
    raise RuntimeError(SECRET)


def cold_failing(request: HttpRequest, rest: str) -> HttpResponse:
    raise RuntimeError(SECRET)


urlpatterns = [path("hot/<str:rest>", public_view(hot_failing)), path("cold/<str:rest>", cold_failing)]
handler500 = problems.server_error


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    assert hot_of(hot_failing)
    assert not hot_of(cold_failing)
    transport = httpx.ASGITransport(HotHandler(django_application), raise_app_exceptions=False)  # type: ignore[arg-type]
    with override_settings(ROOT_URLCONF=__name__):
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


@pytest.mark.parametrize("way", ["hot", "cold"])
async def test_an_unexpected_error_is_logged_in_full_and_hidden_from_clients(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    answer = await client.get(f"/{way}/x")
    assert answer.status_code == 500
    assert answer.json() == {
        "status": 500, "title": "Internal Server Error", "code": "internal",
        "detail": "Something went wrong here; it has been logged.",
    }  # fmt: skip
    assert SECRET in caplog.text
    assert f"{way}_failing" in caplog.text, "the log names the place"


@pytest.mark.parametrize("way", ["hot", "cold"])
async def test_line_breaks_in_a_path_do_not_forge_log_lines(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    await client.get(f"/{way}/x%0aINFO%20forged%0d%0aline")
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told
    assert not [message for message in told if "\n" in message or "\r" in message]
