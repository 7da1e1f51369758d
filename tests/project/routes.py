"""Every HTTP route of the URLconf with an example path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

EXAMPLES = {"int": "1", "str": "ems_001", "path": "1"}


def routes() -> list[tuple[str, Any]]:
    """Return (path, view) of every route in the order of matching."""
    return [("/" + example(route), pattern.callback) for route, pattern in _walk(get_resolver(), "")]


def _walk(resolver: URLResolver, before: str) -> Iterator[tuple[str, URLPattern]]:
    for item in resolver.url_patterns:
        route = before + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from _walk(item, route)
        else:
            yield route, item


def example(route: str) -> str:
    """Return a path that the route matches: 1 for `<int:pk>`, `other` for the group of a regular expression."""
    path = re.sub(
        r"<(?:(\w+):)?\w+>", lambda part: EXAMPLES[part[1] or "str"], re.sub(r"\(\?P<\w+>[^)]*\)", "other", route)
    )
    return path.replace("^", "").replace("$", "")
