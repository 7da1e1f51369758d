"""The Redis subscriber of this process: one connection, or in a cluster one to each master that holds a watched device.

A connection that breaks, or that is half-open and answers no PING, is replaced. Only the streams that it carried break:
in a cluster, the devices of the other masters continue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import NoReturn, Protocol

from core.tasks import Tasks
from live_app.redis.cluster import ClusterSubscriber
from live_app.redis.connection import (
    RECONNECT_PAUSE_S,
    SubscriberConnection,
    SubscriberListener,
    connection_logged,
)
from telemetry.redis import AsyncRedis, RedisError, redis_connect_master
from telemetry.redis_url import redis_address


class Subscriber(Protocol):
    """The interface that the hub uses."""

    @property
    def is_connected(self) -> bool: ...

    async def run(self) -> NoReturn:
        """Keep the connections open, until cancelled."""

    def subscribe(self, device_id: str) -> None: ...

    def unsubscribe(self, device_id: str) -> None: ...

    def server_of(self, device_id: str) -> AsyncRedis:
        """Return the server that a device's stream comes from. Raises RedisError if there is none at the moment."""


def subscriber_of(redis_url: str, listener: SubscriberListener, channels: Collection[str]) -> Subscriber:
    """Return the subscriber for a URL. It subscribes to `channels` whether or not devices are watched."""
    kind = ClusterSubscriber if redis_address(redis_url).is_cluster else SingleSubscriber
    return kind(redis_url, listener, channels)


class SingleSubscriber:
    """One connection for everything: to a single Redis, or to the master that Sentinel names."""

    def __init__(self, redis_url: str, listener: SubscriberListener, channels: Collection[str]) -> None:
        self._redis_url = redis_url
        self._listener = listener
        self._channels = channels
        self._wanted: set[str] = set()
        self._connection: SubscriberConnection | None = None
        self._tasks = Tasks("Redis subscriber")

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_open

    async def run(self) -> NoReturn:
        try:
            while True:
                with connection_logged("Redis"):
                    client = await redis_connect_master(self._redis_url)
                    self._connection = SubscriberConnection(
                        client, self._listener, channels=self._channels, device_ids=self._wanted
                    )
                    await self._connection.listen()
                await asyncio.sleep(RECONNECT_PAUSE_S)
        finally:
            await self._tasks.close()

    def subscribe(self, device_id: str) -> None:
        self._wanted.add(device_id)
        if self._connection is not None:
            self._tasks.spawn(self._connection.add(device_id))

    def unsubscribe(self, device_id: str) -> None:
        self._wanted.discard(device_id)
        if self._connection is not None:
            self._tasks.spawn(self._connection.remove(device_id))

    def server_of(self, device_id: str) -> AsyncRedis:
        if self._connection is None or self._connection.has_ended:
            raise RedisError("there is no connection to Redis")
        return self._connection.client
