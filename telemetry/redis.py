"""How every part connects to Redis: with a timeout on each wait.

REDIS_URL names one server, a master behind Sentinel, or a cluster (`telemetry/redis_url.py`). Callers need not know
which.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
import redis.cluster
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from telemetry.cluster import AsyncCluster, Cluster, ClusterMember, Topology
from telemetry.names import ring_key
from telemetry.redis_url import Node, RedisAddress, redis_address

CONNECT_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 2.0
SENTINEL_TIMEOUT_S = 0.5  # Sentinels are queried one after the other

RedisError = redis.RedisError
AsyncRedis = redis.asyncio.Redis


def redis_connect(url: str, *, command_timeout_s: float | None = COMMAND_TIMEOUT_S) -> AsyncRedis:
    """A new client, e.g. for a connection that blocks or subscribes. The caller closes it with `redis_close`.

    A cluster's client has the same commands, each for keys of one slot.
    """
    address = redis_address(url)
    options = _async_options(address, command_timeout_s)
    if address.is_cluster:
        return cast(AsyncRedis, _cluster(address, options))
    if address.service is None:
        return redis.asyncio.Redis.from_url(url, **options)
    sentinel = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        address.nodes,
        sentinel_kwargs=dict(address.sentinel_options) | _sentinel_timeouts() | {"retry": AsyncRetry(NoBackoff(), 0)},
    )
    return cast(AsyncRedis, sentinel.master_for(address.service, **{**address.options, **options}))


async def redis_close(client: AsyncRedis) -> None:
    """Close a client and its connections to Sentinels."""
    await client.aclose()
    pool = getattr(client, "connection_pool", None)
    if isinstance(pool, redis.asyncio.sentinel.SentinelConnectionPool):
        await pool.sentinel_manager.aclose()


async def redis_connect_master(url: str) -> AsyncRedis:
    """A client of the server that is the master now; it does not follow a failover. The caller closes it.

    Raises RedisError if no Sentinel knows a master.
    """
    address = redis_address(url)
    if address.service is None:
        return redis_connect(url)
    sentinel = _sentinel(address)
    try:
        host, port = await sentinel.discover_master(address.service)
    finally:
        await sentinel.aclose()
    return redis_connect_node(url, (str(host), int(port)))


def redis_connect_node(url: str, node: Node) -> AsyncRedis:
    """A client of one server of several. The caller closes it."""
    address = redis_address(url)
    host, port = node
    options = {**address.options, **_async_options(address, COMMAND_TIMEOUT_S)}
    kind = ClusterMember if address.is_cluster else redis.asyncio.Redis
    return kind(host=host, port=port, **options)


def redis_topology(url: str) -> Topology:
    """The topology of the cluster, not queried yet. The caller closes it."""
    address = redis_address(url)
    return Topology(_cluster(address, _async_options(address, COMMAND_TIMEOUT_S)))


@lru_cache
def redis_client_sync(url: str) -> redis.Redis:
    """The client that all threads share. Raises RedisError if a cluster is unreachable."""
    address = redis_address(url)
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": COMMAND_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.is_cluster:
        nodes = [redis.cluster.ClusterNode(host, port) for host, port in address.nodes]  # type: ignore[no-untyped-call]
        whole = {**address.options, **options, "startup_nodes": nodes, "require_full_coverage": False}
        try:
            return cast(redis.Redis, Cluster(**whole))
        except redis.exceptions.RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from error
    if address.service is None:
        return redis.Redis.from_url(url, **options)
    sentinel = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        address.nodes,
        sentinel_kwargs=dict(address.sentinel_options) | _sentinel_timeouts() | {"retry": Retry(NoBackoff(), 0)},
    )
    master = sentinel.master_for(address.service, **{**address.options, **options})  # type: ignore[no-untyped-call]
    return cast(redis.Redis, master)


def ring_of(client: object, device_id: str) -> str:
    """The key of a device's ring on the server of `client`: in a cluster it has a hash tag."""
    return ring_key(device_id, is_cluster=isinstance(client, AsyncCluster | Cluster | ClusterMember))


def _sentinel(address: RedisAddress) -> redis.asyncio.sentinel.Sentinel:
    options = {**address.sentinel_options, **_sentinel_timeouts(), "retry": AsyncRetry(NoBackoff(), 0)}
    return redis.asyncio.sentinel.Sentinel(address.nodes, sentinel_kwargs=options)  # type: ignore[no-untyped-call]


def _cluster(address: RedisAddress, options: dict[str, Any]) -> AsyncCluster:
    nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in address.nodes]
    whole = {**address.options, **options}
    return AsyncCluster(startup_nodes=nodes, require_full_coverage=False, **whole)


def _async_options(address: RedisAddress, command_timeout_s: float | None) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": command_timeout_s,
        "retry": AsyncRetry(NoBackoff(), 0),
        "health_check_interval": 0,
    }


def _sentinel_timeouts() -> dict[str, Any]:
    return {"socket_connect_timeout": SENTINEL_TIMEOUT_S, "socket_timeout": SENTINEL_TIMEOUT_S}
