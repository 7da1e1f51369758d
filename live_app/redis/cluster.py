"""The subscriber for a Redis Cluster: finds the master that holds each device, and follows it when slots move."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from contextlib import suppress
from typing import NoReturn

from core.tasks import Tasks
from live_app.redis.connection import (
    RECONNECT_PAUSE_S,
    SubscriberConnection,
    SubscriberListener,
    connection_logged,
)
from telemetry.cluster import device_slot
from telemetry.redis import AsyncRedis, RedisError, redis_connect_node, redis_topology
from telemetry.redis_url import Node, redis_address

# A master that became a replica goes on sending: only asking shows it.
TOPOLOGY_REFRESH_S = 5.0


class ClusterSubscriber:
    """A connection to each master that holds a watched device, and one to any node for cluster-wide channels."""

    def __init__(self, redis_url: str, listener: SubscriberListener, channels: Collection[str]) -> None:
        self._redis_url = redis_url
        self._listener = listener
        self._channels = channels
        self._topology = redis_topology(redis_url)
        self._slots: dict[str, int] = {}  # of the watched devices
        self._at: dict[str, Node] = {}  # the node whose connection carries each device
        self._connections: dict[Node, SubscriberConnection] = {}
        self._general: SubscriberConnection | None = None
        self._is_stale = asyncio.Event()
        self._tasks = Tasks("Redis subscriber")
        self.on_reading = listener.on_reading
        self.on_message = listener.on_message
        self.on_subscribed = listener.on_subscribed

    @property
    def is_connected(self) -> bool:
        return self._general is not None and self._general.is_open

    async def run(self) -> NoReturn:
        try:
            self._tasks.spawn(self._keep_general())
            while True:
                self._is_stale.clear()
                with connection_logged("the cluster"):
                    await self._place()
                with suppress(TimeoutError):
                    async with asyncio.timeout(TOPOLOGY_REFRESH_S):
                        await self._is_stale.wait()
                        await asyncio.sleep(RECONNECT_PAUSE_S)
        finally:
            await self._tasks.close()
            await self._topology.aclose()

    def subscribe(self, device_id: str) -> None:
        self._slots[device_id] = device_slot(device_id)
        if (master := self._master_of(device_id)) is not None:
            self._put(device_id, master)
        else:
            self._is_stale.set()

    def unsubscribe(self, device_id: str) -> None:
        self._slots.pop(device_id, None)
        self._take_off(device_id)

    def server_of(self, device_id: str) -> AsyncRedis:
        connection = self._connections.get(self._at[device_id]) if device_id in self._at else None
        if connection is None or connection.has_ended:
            raise RedisError(f"there is no connection to the master that holds {device_id}")
        return connection.client

    def on_lost(self, device_ids: Collection[str]) -> None:
        """A connection has ended, or the slot of a device has moved."""
        for device_id in device_ids:
            self._at.pop(device_id, None)
        self._is_stale.set()
        self._listener.on_lost(device_ids)

    async def _place(self) -> None:
        """Put every device on the connection of the master that holds it now. Raises RedisError."""
        if await self._topology.refresh():
            for device_id, node in list(self._at.items()):
                if self._master_of(device_id) != node:
                    self._take_off(device_id)
                    self._listener.on_lost([device_id])
        for device_id in self._slots.keys() - self._at.keys():
            if (master := self._master_of(device_id)) is not None:
                self._put(device_id, master)

    def _master_of(self, device_id: str) -> Node | None:
        """None if no master holds the device's slot at the moment."""
        try:
            return self._topology.master_of(self._slots[device_id])
        except RedisError:
            return None

    def _put(self, device_id: str, node: Node) -> None:
        connection = self._connections.get(node)
        if connection is None or connection.has_ended:
            client = redis_connect_node(self._redis_url, node)
            connection = self._connections[node] = SubscriberConnection(client, self, is_sharded=True)
            self._tasks.spawn(self._keep(node, connection))
        self._at[device_id] = node
        self._tasks.spawn(connection.add(device_id))

    def _take_off(self, device_id: str) -> None:
        node = self._at.pop(device_id, None)
        if node is not None and node in self._connections:
            self._tasks.spawn(self._connections[node].remove(device_id))

    async def _keep(self, node: Node, connection: SubscriberConnection) -> None:
        try:
            with connection_logged(f"the master {node[0]}:{node[1]}"):
                await connection.listen()
        finally:
            if self._connections.get(node) is connection:
                del self._connections[node]

    async def _keep_general(self) -> NoReturn:
        nodes = redis_address(self._redis_url).nodes
        while True:
            node = random.choice(list(self._topology.masters or nodes))  # noqa: S311 - not a secret
            client = redis_connect_node(self._redis_url, node)
            self._general = SubscriberConnection(client, self, channels=self._channels)
            with connection_logged(f"the node {node[0]}:{node[1]}"):
                await self._general.listen()
            await asyncio.sleep(RECONNECT_PAUSE_S)
