"""The declared routes of the URLconf."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from auth_app.scopes import TokenScope
from core.hot import hot_of
from core.openapi import Operation, operation_of

_PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Route:
    """One method of one path. `path` is a template: `/api/devices/{device_id}`."""

    path: str
    method: str
    name: str
    app: str
    operation: Operation
    is_public: bool
    is_hot: bool
    scope: TokenScope | None  # that an API key needs

    @property
    def placeholders(self) -> Sequence[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def needs_csrf(self) -> bool:
        """Whether a session cookie needs a CSRF token."""
        return not (self.is_public or self.is_hot or self.method == "get")


def described_routes() -> Iterator[Route]:
    """Every route with a declaration, in the order of the URLconf."""
    for path, pattern in url_patterns():
        for method, function in methods_of(pattern.callback).items():
            operation = operation_of(function)
            if operation is not None:
                yield _route(path, pattern, method, operation)


def url_patterns(within: Any = None, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """Every route as a path template, with its pattern."""
    for entry in (within or get_resolver()).url_patterns:
        path = prefix + _PLACEHOLDER.sub(r"{\1}", str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from url_patterns(entry, path)
        else:
            yield path, entry


def methods_of(callback: Callable[..., Any]) -> Mapping[str, Any]:
    """The function of each method, by name in lower case, without HEAD."""
    view_class = getattr(callback, "view_class", None)
    if view_class is not None:
        names = [name for name in view_class.http_method_names if name not in ("head", "options")]
        return {name: getattr(view_class, name) for name in names if hasattr(view_class, name)}
    hot = hot_of(callback)
    accepted: Sequence[str] = hot.methods if hot else ("GET",)
    return {name.lower(): callback for name in accepted if name != "HEAD"}


def _route(path: str, pattern: URLPattern, method: str, operation: Operation) -> Route:
    callback: Any = pattern.callback
    view_class = getattr(callback, "view_class", None)
    hot = hot_of(callback)
    return Route(
        path=path,
        method=method,
        name=str(pattern.name),
        app=callback.__module__.partition(".")[0],
        operation=operation,
        is_public=view_class.is_public if view_class else hot is None or hot.scope is None,
        is_hot=hot is not None,
        scope=_scope(view_class or callback, method),
    )


def _scope(view: Any, method: str) -> TokenScope | None:
    """Of a hot view by its mark, of a cold one (auth_app/rest/view.py) by its class."""
    if isinstance(view, type):
        cold: Any = view
        return None if cold.is_public else cold.reading if method == "get" else cold.writing
    hot = hot_of(view)
    return None if hot is None or hot.scope is None else TokenScope(hot.scope)
