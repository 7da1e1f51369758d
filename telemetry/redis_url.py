"""Parses REDIS_URL: one server, a master behind Sentinel, or a cluster. Pure.

redis://[user:password@]host[:6379][/db]                                         one server; unix:// by its socket
redis+sentinel://[user:password@]host[:26379],host[:26379],…/service[/db]        the master of `service`
redis+cluster://[user:password@]host[:6379],host[:6379],…                        a cluster, discovered from these nodes

`rediss` instead of `redis` means TLS. User and password are those of Redis; for Sentinels with other credentials, add
`?sentinel_username=…&sentinel_password=…`. Other parameters are redis-py's (`?ssl_ca_certs=…`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import SSLConnection, parse_url

ACCEPTED = "redis://…, rediss://…, unix://…, redis+sentinel://host,host/service/0 or redis+cluster://host,host"
SENTINEL, CLUSTER = "sentinel", "cluster"
DEFAULT_PORTS = {SENTINEL: 26379, CLUSTER: 6379}
SENTINEL_PREFIX = "sentinel_"

Node = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`nodes`: the Sentinels, or nodes of the cluster; none for one server. `options`: redis-py's, for Redis itself."""

    options: Mapping[str, Any] = field(repr=False)
    nodes: tuple[Node, ...] = ()
    service: str | None = None
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_cluster(self) -> bool:
        return bool(self.nodes) and self.service is None


@lru_cache
def redis_address(url: str) -> RedisAddress:
    """Parse a URL. Raises ValueError, which does not show the URL: there may be a password in it."""
    transport, _, kind = urlsplit(url).scheme.partition("+")
    if not kind:
        return RedisAddress(_options(url))
    if kind not in DEFAULT_PORTS or transport not in ("redis", "rediss"):
        raise ValueError(f"accepted is {ACCEPTED}")
    return _several(url, transport, kind)


def _several(url: str, transport: str, kind: str) -> RedisAddress:
    """The address of Sentinels or of a cluster. redis-py parses the same URL with one host for the options."""
    parts = urlsplit(url)
    userinfo, at, hosts = parts.netloc.rpartition("@")
    service, db = _path(parts.path, kind)
    options = _options(f"{transport}://{userinfo}{at}host/{db}?{parts.query}")
    del options["host"]
    if kind == CLUSTER:
        del options["db"]
    of_sentinels = {
        name.removeprefix(SENTINEL_PREFIX): options.pop(name) for name in [*options] if name.startswith(SENTINEL_PREFIX)
    }
    if "ssl" in options:
        of_sentinels["ssl"] = True
    nodes = tuple(_node(host, DEFAULT_PORTS[kind]) for host in hosts.split(","))
    return RedisAddress(options, nodes, service, of_sentinels)


def _path(path: str, kind: str) -> tuple[str | None, str]:
    """The service, None for a cluster, and the number of the database."""
    match kind, [part for part in path.split("/") if part]:
        case "sentinel", [service]:
            return service, "0"
        case "sentinel", [service, db] if db.isdecimal():
            return service, db
        case "cluster", [] | ["0"]:
            return None, "0"
    raise ValueError("accepted are redis+sentinel://host,host/service/0 and, without a path, redis+cluster://host,host")


def redis_host(url: str) -> str | dict[str, Any]:
    """The address in the form of channels-redis: of a cluster one node, because a PUBLISH reaches all nodes."""
    address = redis_address(url)
    if not address.nodes:
        return url
    if address.service is not None:
        named = {"sentinels": list(address.nodes), "master_name": address.service}
        return {**address.options, **named, "sentinel_kwargs": dict(address.sentinel_options)}
    host, port = address.nodes[0]
    return {**address.options, "host": host, "port": port}


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    if options.get("connection_class") is SSLConnection:
        del options["connection_class"]
        options["ssl"] = True
    return options


def _node(text: str, default_port: int) -> Node:
    host, _, port = text.rpartition(":") if text.rpartition(":")[2].isdecimal() else (text, "", "")
    if not host.strip("[]"):
        raise ValueError(f"a host is missing; accepted is {ACCEPTED}")
    return host.strip("[]"), int(port or default_port)
