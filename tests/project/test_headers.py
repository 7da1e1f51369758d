"""Security headers of every response: the policies for pages and for data, on hot, cold, static and failed requests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from django.conf import settings

from asgi_project.headers import DATA_POLICY, PAGE_POLICY, PERMISSIONS, headers_completed
from testing.cast import Person
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import now_us
from tests.project.routes import routes

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PAGES_ONLY = {
    "content-security-policy": PAGE_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": ", ".join(f"{name}=()" for name in PERMISSIONS),
}
COLD = ["/api/auth/me", "/api/devices", "/livez", "/readyz", "/", "/favicon.ico", "/nothing/here"]
STATIC = ["/static/dashboard/icon.svg", "/static/dashboard/pages/dashboard/page.js", "/static/nothing.js"]


def assert_guarded(answer: httpx.Response) -> None:
    """Check that every header is present once and that the policy fits the kind of response."""
    is_page = answer.headers.get("content-type", "").startswith("text/html")
    expected = ALWAYS | (PAGES_ONLY if is_page else {"content-security-policy": DATA_POLICY})
    for name, value in expected.items():
        assert answer.headers.get_list(name) == [value], f"{name} of {answer.request.url} {answer.status_code}"
    assert len(answer.headers.get_list("cache-control")) == 1, answer.request.url


@pytest.fixture
def staff(server: Process, alice: Person) -> Iterator[httpx.Client]:
    """A browser with the session of alice, a superuser."""
    from tests.auth_app.answers import browser

    alice.user.is_staff = alice.user.is_superuser = True
    alice.user.save()
    with browser(server, alice) as client:
        yield client


def test_the_policies_allow_no_inline_code_and_no_other_origins() -> None:
    for policy in (PAGE_POLICY, DATA_POLICY):
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
        assert set(directives.values()) <= {"'none'", "'self'"}


def test_every_route_sends_the_headers(staff: httpx.Client, device: str) -> None:
    statuses, types = set(), set()
    for path, _ in routes():
        with staff.stream("GET", path.replace("ems_001", device)) as answer:  # one of them is an endless stream
            assert_guarded(answer)
            statuses.add(answer.status_code)
            types.add(answer.headers["content-type"].partition(";")[0])
    assert statuses >= {200, 302, 405}
    assert types >= {"text/html", "application/json", "application/problem+json"}


@pytest.mark.parametrize("path", [*COLD, *STATIC])
def test_anonymous_responses_have_the_headers(anonymous: httpx.Client, path: str) -> None:
    assert_guarded(anonymous.get(path))


@pytest.mark.parametrize("path", ["", "/export?start=1&end=2&format=csv", "?range=wrong"])
def test_hot_responses_have_the_headers(alice: Person, device: str, path: str) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        assert_guarded(alice.http.request(method, f"/api/history/{device}{path}"))


def test_refusals_have_the_headers(server: Process, anonymous: httpx.Client) -> None:
    refused = [
        anonymous.post("/login"),
        anonymous.get("/livez", headers={"Host": "elsewhere.example"}),
        anonymous.get("/api/latest", headers={"Host": "elsewhere.example"}),
        anonymous.post("/api/auth/login", content=b"x" * (settings.HTTP_ANONYMOUS_BODY_MAX_BYTES + 1)),
    ]
    assert [answer.status_code for answer in refused] == [403, 400, 400, 413]
    for answer in refused:
        assert_guarded(answer)


def test_headers_set_by_a_response_are_kept() -> None:
    stricter = (b"Content-Security-Policy", b"sandbox")
    completed = headers_completed([(b"Content-Type", b"text/html"), stricter])
    assert [value for name, value in completed if name.lower() == b"content-security-policy"] == [b"sandbox"]
    assert (b"x-content-type-options", b"nosniff") in completed


def test_private_responses_are_not_cached(alice: Person, anonymous: httpx.Client) -> None:
    for answer in (alice.http.get("/api/auth/me"), alice.http.get("/api/devices"), anonymous.get("/api/latest")):
        assert answer.headers["cache-control"] == "no-store"
    assert "no-store" in anonymous.get("/login").headers["cache-control"]


def test_history_is_cached_privately_and_revalidated(alice: Person, device: str, stack: Stack) -> None:
    hour = now_us() // 3_600_000_000 * 3_600_000
    url = f"/api/history/{device}?start={hour - 3_600_000}&end={hour}"
    first = alice.http.get(url)
    assert first.headers["cache-control"] == "private, no-cache"
    again = alice.http.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["cache-control"] == "private, no-cache"
    assert_guarded(again)


def test_hsts_is_not_sent_without_tls(anonymous: httpx.Client) -> None:
    assert "strict-transport-security" not in anonymous.get("/login").headers
