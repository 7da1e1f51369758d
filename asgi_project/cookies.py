"""Cookies as the application may read them: without any that has a backslash.

Python before 3.11.10 and 3.12.6 decodes such a value in quadratic time (CVE-2024-7592). No cookie of this project has
one: what other applications on this host set is ignored (RFC 6265, section 4.1.1, does not allow it either).
"""

from __future__ import annotations

from typing import Any, cast

from asgiref.typing import HTTPScope, WebSocketScope


def cookies_clean(scope: HTTPScope | WebSocketScope) -> None:
    """Remove cookies with a backslash from the headers of `scope`, in linear time."""
    for name, value in scope["headers"]:
        if name == b"cookie" and b"\\" in value:
            break
    else:
        return
    cast(dict[str, Any], scope)["headers"] = [
        (name, _without_backslashes(value) if name == b"cookie" else value) for name, value in scope["headers"]
    ]


def _without_backslashes(value: bytes) -> bytes:
    return b";".join(pair for pair in value.split(b";") if b"\\" not in pair)
