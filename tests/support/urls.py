"""Addresses of databases, taken apart and put together."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote


def url_of(told: Mapping[str, object]) -> str:
    """Parts of a connection as a URI, because that is what the settings document."""
    rest = dict(told)
    user, password = quote(str(rest.pop("user", "")), safe=""), quote(str(rest.pop("password", "")), safe="")
    host, port, dbname = rest.pop("host", "127.0.0.1"), rest.pop("port", 5432), rest.pop("dbname", "")
    return f"postgresql://{user}:{password}@{host}:{port}/{dbname}"
