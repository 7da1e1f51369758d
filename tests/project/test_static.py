"""Static files."""

from __future__ import annotations

import httpx


def test_files_are_cached_and_revalidated(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/static/vendor/uplot/uPlot.min.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    again = anonymous.get("/static/vendor/uplot/uPlot.min.css", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_text_is_compressed(anonymous: httpx.Client) -> None:
    path = "/static/dashboard/pages/dashboard/page.js"
    answer = anonymous.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert answer.text == anonymous.get(path, headers={"Accept-Encoding": "identity"}).text


def test_a_missing_file_is_404(anonymous: httpx.Client) -> None:
    for path in ("/static/nope.js", "/static/", "/static/../manage.py", "/static/%2e%2e/manage.py"):
        assert anonymous.get(path).status_code == 404
