"""Sends the publisher's commands to Redis in order, and tells whether all earlier ones have arrived too."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import redis
from redis.asyncio.connection import AbstractConnection

from telemetry.cluster import device_slot
from telemetry.names import device_of
from telemetry.redis import AsyncRedis, RedisError, redis_close, redis_connect, redis_connect_node, redis_topology
from telemetry.redis_url import Node, redis_address

Command = tuple[str | bytes | int, ...]
# The node does not hold the slot (any more), or no node does at the moment.
_ELSEWHERE = (redis.exceptions.AskError, redis.exceptions.TryAgainError, redis.exceptions.ClusterDownError)


class ConnectionReplacedError(RedisError):
    """The connection was replaced: what was sent over the previous one may be lost."""


class Pipe(Protocol):
    """The interface that the publisher uses."""

    async def send(self, commands: Sequence[Command]) -> list[object]:
        """Send and return the replies, including error replies. Raises RedisError or OSError if these or earlier
        commands may not have arrived."""

    async def aclose(self) -> None: ...


def pipe_to(redis_url: str) -> Pipe:
    return ClusterPipe(redis_url) if redis_address(redis_url).is_cluster else SinglePipe(redis_connect(redis_url))


class SinglePipe:
    """One connection."""

    def __init__(self, client: AsyncRedis) -> None:
        self._client = client
        self._is_proven = False
        self._is_new = False
        # redis-py silently replaces a connection that the server closed; the publisher has to know.
        client.connection_pool.connection_kwargs["redis_connect_func"] = self._on_connect

    async def send(self, commands: Sequence[Command]) -> list[object]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        was_proven, self._is_proven, self._is_new = self._is_proven, False, False
        replies: list[object] = await pipeline.execute(raise_on_error=False)
        if was_proven and self._is_new:
            raise ConnectionReplacedError("Redis had closed the connection")
        self._is_proven = True
        return replies

    async def aclose(self) -> None:
        await redis_close(self._client)

    async def _on_connect(self, connection: AbstractConnection) -> None:
        self._is_new = True
        await connection.on_connect()


class ClusterPipe:
    """One connection per master. The second word of a command names its device, and so its master."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._topology = redis_topology(redis_url)
        self._pipes: dict[Node, SinglePipe] = {}
        self._is_doubtful = True

    async def send(self, commands: Sequence[Command]) -> list[object]:
        try:
            if self._is_doubtful:
                await self._topology.refresh()
            replies = await self._send(commands)
            self._is_doubtful = False
        except (RedisError, OSError):
            self._is_doubtful = True
            raise
        return replies

    async def _send(self, commands: Sequence[Command]) -> list[object]:
        """Send to all masters at once. Returns or raises when all of them have responded or failed."""
        parts: dict[Node, list[int]] = defaultdict(list)
        for index, command in enumerate(commands):
            parts[self._topology.master_of(device_slot(device_of(str(command[1]))))].append(index)
        answers = await asyncio.gather(
            *(self._pipe(node).send([commands[index] for index in indexes]) for node, indexes in parts.items()),
            return_exceptions=True,
        )
        replies: list[object] = [None] * len(commands)
        for indexes, answer in zip(parts.values(), answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            for index, reply in zip(indexes, answer, strict=True):
                if isinstance(reply, _ELSEWHERE):
                    raise reply
                replies[index] = reply
        return replies

    def _pipe(self, node: Node) -> SinglePipe:
        if node not in self._pipes:
            self._pipes[node] = SinglePipe(redis_connect_node(self._redis_url, node))
        return self._pipes[node]

    async def aclose(self) -> None:
        for pipe in self._pipes.values():
            await pipe.aclose()
        await self._topology.aclose()
