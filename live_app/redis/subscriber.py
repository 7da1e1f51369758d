"""Where the live readings come from: one connection to Redis, or in a cluster one to each master that is needed.

A connection that breaks, or falls silent without answering a PING (half-open), is made anew. What it carried is lost
meanwhile, and only that: with a cluster the devices of the other masters go on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Coroutine
from contextlib import suppress
from typing import Any, NoReturn, Protocol

from live_app.redis.connection import Ear, Line
from telemetry.cluster import device_slot
from telemetry.redis import AsyncRedis, RedisError, redis_connect_master, redis_connect_node, redis_topology
from telemetry.redis_url import Node, redis_address

RECONNECT_PAUSE_S = 0.2
# A master that has become a replica goes on sending; that it is none any more is only to be had by asking.
TOPOLOGY_REFRESH_S = 5.0
logger = logging.getLogger(__name__)


class Stream(Protocol):
    """What the hub asks for. `channels` are heard whatever devices there are."""

    @property
    def is_connected(self) -> bool: ...

    async def run(self) -> NoReturn:
        """Keep the connections, until cancelled."""

    def subscribe(self, device_id: str) -> None: ...

    def unsubscribe(self, device_id: str) -> None: ...

    def server_of(self, device_id: str) -> AsyncRedis:
        """The server that a device's stream comes from. Raises RedisError where there is none at the moment."""


def stream_from(redis_url: str, ear: Ear, channels: Collection[str]) -> Stream:
    kind = ClusterStream if redis_address(redis_url).is_cluster else SingleStream
    return kind(redis_url, ear, channels)


class SingleStream:
    """One connection for everything: to the one Redis, or to the master that Sentinel names."""

    def __init__(self, redis_url: str, ear: Ear, channels: Collection[str]) -> None:
        self._redis_url = redis_url
        self._ear = ear
        self._channels = channels
        self._wanted: set[str] = set()
        self._line: Line | None = None
        self._tasks = Tasks()

    @property
    def is_connected(self) -> bool:
        return self._line is not None and self._line.is_open

    async def run(self) -> NoReturn:
        try:
            while True:
                with logged("Redis"):
                    client = await redis_connect_master(self._redis_url)
                    self._line = Line(client, self._ear, channels=self._channels, device_ids=self._wanted)
                    await self._line.listen()
                await asyncio.sleep(RECONNECT_PAUSE_S)
        finally:
            await self._tasks.cancel()

    def subscribe(self, device_id: str) -> None:
        self._wanted.add(device_id)
        if self._line is not None:
            self._tasks.spawn(self._line.add(device_id))

    def unsubscribe(self, device_id: str) -> None:
        self._wanted.discard(device_id)
        if self._line is not None:
            self._tasks.spawn(self._line.remove(device_id))

    def server_of(self, device_id: str) -> AsyncRedis:
        if self._line is None or self._line.has_ended:
            raise RedisError("there is no connection to Redis")
        return self._line.client


class ClusterStream:
    """A line to each master that holds a device of ours, and one to any node for what the whole cluster is told."""

    def __init__(self, redis_url: str, ear: Ear, channels: Collection[str]) -> None:
        self._redis_url = redis_url
        self._ear = ear
        self._channels = channels
        self._topology = redis_topology(redis_url)
        self._slots: dict[str, int] = {}  # of the devices that are wanted
        self._at: dict[str, Node] = {}  # those that a line carries
        self._lines: dict[Node, Line] = {}
        self._general: Line | None = None
        self._is_doubtful = asyncio.Event()
        self._tasks = Tasks()
        self.on_reading, self.on_message, self.on_subscribed = ear.on_reading, ear.on_message, ear.on_subscribed

    @property
    def is_connected(self) -> bool:
        return self._general is not None and self._general.is_open

    async def run(self) -> NoReturn:
        try:
            self._tasks.spawn(self._keep_general())
            while True:
                self._is_doubtful.clear()
                with logged("the cluster"):
                    await self._place()
                with suppress(TimeoutError):
                    async with asyncio.timeout(TOPOLOGY_REFRESH_S):
                        await self._is_doubtful.wait()
                        await asyncio.sleep(RECONNECT_PAUSE_S)
        finally:
            await self._tasks.cancel()
            await self._topology.aclose()

    def subscribe(self, device_id: str) -> None:
        self._slots[device_id] = device_slot(device_id)
        if (master := self._master_of(device_id)) is not None:
            self._put(device_id, master)
        else:
            self._is_doubtful.set()

    def unsubscribe(self, device_id: str) -> None:
        self._slots.pop(device_id, None)
        self._take_off(device_id)

    def server_of(self, device_id: str) -> AsyncRedis:
        line = self._lines.get(self._at[device_id]) if device_id in self._at else None
        if line is None or line.has_ended:
            raise RedisError(f"there is no connection to the master that holds {device_id}")
        return line.client

    def on_lost(self, device_ids: Collection[str]) -> None:
        """A line has ended, or the slot of a device has moved."""
        for device_id in device_ids:
            self._at.pop(device_id, None)
        self._is_doubtful.set()
        self._ear.on_lost(device_ids)

    async def _place(self) -> None:
        """Put every device on the line of the master that holds it now. Raises RedisError."""
        if await self._topology.refresh():
            for device_id, node in list(self._at.items()):
                if self._master_of(device_id) != node:
                    self._take_off(device_id)
                    self._ear.on_lost([device_id])
        for device_id in self._slots.keys() - self._at.keys():
            if (master := self._master_of(device_id)) is not None:
                self._put(device_id, master)

    def _master_of(self, device_id: str) -> Node | None:
        """None where nobody holds the device's slot at the moment."""
        try:
            return self._topology.master_of(self._slots[device_id])
        except RedisError:
            return None

    def _put(self, device_id: str, node: Node) -> None:
        line = self._lines.get(node)
        if line is None or line.has_ended:
            line = self._lines[node] = Line(redis_connect_node(self._redis_url, node), self, is_sharded=True)
            self._tasks.spawn(self._keep(node, line))
        self._at[device_id] = node
        self._tasks.spawn(line.add(device_id))

    def _take_off(self, device_id: str) -> None:
        node = self._at.pop(device_id, None)
        if node is not None and node in self._lines:
            self._tasks.spawn(self._lines[node].remove(device_id))

    async def _keep(self, node: Node, line: Line) -> None:
        try:
            with logged(f"the master {node[0]}:{node[1]}"):
                await line.listen()
        finally:
            if self._lines.get(node) is line:
                del self._lines[node]

    async def _keep_general(self) -> NoReturn:
        nodes = redis_address(self._redis_url).nodes
        while True:
            node = random.choice(list(self._topology.masters or nodes))  # noqa: S311 - nobody gains by guessing it
            self._general = Line(redis_connect_node(self._redis_url, node), self, channels=self._channels)
            with logged(f"the node {node[0]}:{node[1]}"):
                await self._general.listen()
            await asyncio.sleep(RECONNECT_PAUSE_S)


class logged(suppress):  # noqa: N801 - used as a function
    """Log a lost connection and go on after the block."""

    def __init__(self, what: str) -> None:
        super().__init__(RedisError, OSError)
        self._what = what

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        is_lost = super().__exit__(kind, error, trace)
        if is_lost:
            logger.warning("connection to %s lost, trying again: %s", self._what, error)
        return is_lost


class Tasks:
    """Tasks that nobody waits for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task of the live stream failed", exc_info=error)
