"""How every part connects to Redis: with time-outs on each wait, and one client per running event loop."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECT_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 2.0

RedisError = redis.RedisError
AsyncRedis = redis.asyncio.Redis

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncRedis] = WeakKeyDictionary()


def redis_client(url: str) -> AsyncRedis:
    """The client of the running loop; a command fails within `COMMAND_TIMEOUT_S` rather than wait. Never retried."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = redis_connect(url)
    return client


def redis_connect(url: str, *, command_timeout_s: float | None = COMMAND_TIMEOUT_S) -> AsyncRedis:
    """A client of its own (for a connection that blocks or subscribes). The caller closes it."""
    return redis.asyncio.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=command_timeout_s,
        retry=AsyncRetry(NoBackoff(), 0),
        health_check_interval=0,
    )


@lru_cache
def redis_client_sync(url: str) -> redis.Redis:
    """The client for threads, shared by all of them."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
