"""The mark of a hot view: an async function that auth_app/http/handler.py serves in front of Django's handler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

READ_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Hot:
    """How a hot view is served: accepted methods, and the scope that an API key needs; None: no credentials."""

    methods: tuple[str, ...]
    scope: str | None


def hot_mark(view: Callable[..., Any], hot: Hot) -> None:
    """Mark `view`. Django's stubs know synchronous views only, so views are `Any` from here on."""
    view.hot = hot  # type: ignore[attr-defined]


def hot_of(view: object) -> Hot | None:
    """The mark of a view, None for a cold one."""
    hot = getattr(view, "hot", None)
    return hot if isinstance(hot, Hot) else None
