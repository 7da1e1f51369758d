"""REDIS_URL taken apart: one server, the master that Sentinel names, or a cluster. Pure.

redis://[user:password@]host[:6379][/db]                                         one server; unix:// by its socket
redis+sentinel://[user:password@]host[:26379],host[:26379],…/service[/db]        the master of `service`
redis+cluster://[user:password@]host[:6379],host[:6379],…                        a cluster, found by way of these nodes

`rediss` in place of `redis` is the same over TLS. User and password are those of Redis; a Sentinel that asks for its
own gets `?sentinel_username=…&sentinel_password=…`. Other parameters are redis-py's (`?ssl_ca_certs=…`).
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
    """Raises ValueError, which does not show the URL: there may be a password in it."""
    parts = urlsplit(url)
    transport, _, kind = parts.scheme.partition("+")
    if not kind:
        return RedisAddress(_options(url))
    if kind not in DEFAULT_PORTS or transport not in ("redis", "rediss"):
        raise ValueError(f"accepted is {ACCEPTED}")
    userinfo, at, hosts = parts.netloc.rpartition("@")
    nodes = tuple(_node(host, DEFAULT_PORTS[kind]) for host in hosts.split(","))
    path = [part for part in parts.path.split("/") if part]
    service = path.pop(0) if kind == SENTINEL and path else None
    db = path.pop(0) if path else "0"
    is_whole = bool(service) == (kind == SENTINEL) and not path and db.isdecimal()
    if not is_whole or (kind == CLUSTER and db != "0"):
        raise ValueError(
            "accepted are redis+sentinel://host,host/service/0 and, without a path, redis+cluster://host,host"
        )
    options = _options(f"{transport}://{userinfo}{at}host/{db}?{parts.query}")
    del options["host"]
    if kind == CLUSTER:
        del options["db"]
    own = {name: options.pop(name) for name in list(options) if name.startswith(SENTINEL_PREFIX)}
    sentinel_options = {name.removeprefix(SENTINEL_PREFIX): value for name, value in own.items()}
    if "ssl" in options:
        sentinel_options["ssl"] = True
    return RedisAddress(options, nodes, service, sentinel_options)


def redis_host(url: str) -> str | dict[str, Any]:
    """The address as channels-redis takes it. Of a cluster one node will do: what is published is told to all."""
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
