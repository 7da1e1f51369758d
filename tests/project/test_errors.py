"""Errors that nobody foresaw: whole in the log, in general words to the client; on both ways to a view.

The views are made up, as no real one is known to fail; the handlers that they fail under are the server's own.
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
from core import errors
from core.hot import hot_of
from core.public import public_view

SECRET = "postgresql://reader:hunter2@telemetry"


async def hot_failing(request: HttpRequest, rest: str = "") -> HttpResponse:
    raise RuntimeError(SECRET)


def cold_failing(request: HttpRequest, rest: str) -> HttpResponse:
    raise RuntimeError(SECRET)


urlpatterns = [path("hot/<str:rest>", public_view(hot_failing)), path("cold/<str:rest>", cold_failing)]
handler500 = errors.server_error


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    assert hot_of(hot_failing)
    assert not hot_of(cold_failing)
    transport = httpx.ASGITransport(HotHandler(django_application), raise_app_exceptions=False)  # type: ignore[arg-type]
    with override_settings(ROOT_URLCONF=__name__):
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


@pytest.mark.parametrize("way", ["hot", "cold"])
async def test_an_unforeseen_error_is_logged_whole_and_told_in_general_words(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    answer = await client.get(f"/{way}/x")
    assert answer.status_code == 500
    assert answer.json() == {
        "status": 500, "title": "Internal Server Error", "code": "internal",
        "detail": "Something went wrong here; it has been logged.",
    }  # fmt: skip
    assert SECRET in caplog.text
    assert f"{way}_failing" in caplog.text, "the place is told"


@pytest.mark.parametrize("way", ["hot", "cold"])
async def test_a_path_with_line_breaks_makes_no_log_line_of_its_own(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    await client.get(f"/{way}/x%0aINFO%20forged%0d%0aline")
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told
    assert not [message for message in told if "\n" in message or "\r" in message]
