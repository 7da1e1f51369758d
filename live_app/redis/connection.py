"""One connection to Redis that listens: from its first subscription to its end, which is always an error."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any, NoReturn, Protocol

from redis.asyncio.client import PubSub

from live_app.metrics import metrics
from telemetry.names import BREAK_CHANNEL, HEARTBEAT_CHANNEL, live_channel
from telemetry.redis import AsyncRedis, RedisError, redis_close

READ_TIMEOUT_S = 0.75
SILENT_READS_BEFORE_RECONNECT = 3
# A node that is cut off from the one where the writer publishes answers a PING, but has no heartbeats any more.
READS_WITHOUT_HEARTBEAT = 14


class Ear(Protocol):
    """Who is told. All of it is called from the event loop, in the order in which Redis said it."""

    def on_reading(self, device_id: str, payload: bytes) -> None:
        """What was published on a device's channel."""

    def on_message(self, channel: str, payload: bytes) -> None:
        """What was published on any other channel."""

    def on_subscribed(self, device_id: str) -> None:
        """The stream of a device begins here. Where it had begun, it broke off unnoticed meanwhile."""

    def on_lost(self, device_ids: Collection[str]) -> None:
        """The streams of these devices have broken off."""


class Line:
    """Constructed closed; `listen` opens it and ends with an error, after which it is of no use any more.

    `client` leads to one server, and whoever joins what it holds to this stream has to ask that very server: the ring
    of one that was the master before may end earlier than the stream of the next one begins.
    `channels` are heard beside the heartbeat and the devices'. `is_sharded`: the devices' channels are those of a
    cluster, which only the node that holds them has.
    """

    def __init__(
        self,
        client: AsyncRedis,
        ear: Ear,
        *,
        channels: Collection[str] = (),
        device_ids: Collection[str] = (),
        is_sharded: bool = False,
    ) -> None:
        self.client = client
        self._pubsub: PubSub = client.pubsub(push_handler_func=_as_it_is)
        self._ear = ear
        self._channels = (HEARTBEAT_CHANNEL, *channels)
        self._is_sharded = is_sharded
        self._devices = {self._channel(device_id).encode(): device_id for device_id in device_ids}
        self._asked_for: set[bytes] = set()
        self._unconfirmed: Counter[bytes] = Counter()
        self._leaving: Counter[bytes] = Counter()  # shard channels whose end was asked for
        self._unsent: Counter[bytes] = Counter()  # commands about a channel that wait for their turn
        self._sending = asyncio.Lock()
        self._broken: Exception | None = None
        self._since_heartbeat: int | None = None  # reads; None before the first
        self.is_open = False
        self.has_ended = False

    async def listen(self) -> NoReturn:
        """Subscribe and tell the ear, until the connection breaks or falls silent. Raises RedisError, OSError."""
        metrics.connections += 1
        try:
            async with self._sending:
                self.is_open = True
                await self._pubsub.subscribe(*self._channels)
                await self._subscribe(list(self._devices))
            await self._read()
        finally:
            self.is_open, self.has_ended = False, True
            self._ear.on_lost(list(self._devices.values()))
            with suppress(RedisError, OSError):
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]
                await redis_close(self.client)

    def add(self, device_id: str) -> Coroutine[Any, Any, None]:
        """The device counts from now on; run what is returned to ask Redis for it."""
        channel = self._channel(device_id).encode()
        self._devices[channel] = device_id
        self._unsent[channel] += 1
        return self._send_about(channel, lambda: self._subscribe([channel]))

    def remove(self, device_id: str) -> Coroutine[Any, Any, None]:
        """The device counts no more; run what is returned to tell Redis."""
        channel = self._channel(device_id).encode()
        self._devices.pop(channel, None)
        self._unsent[channel] += 1
        return self._send_about(channel, lambda: self._unsubscribe(channel))

    async def _send_about(self, channel: bytes, command: Callable[[], Awaitable[Any]]) -> None:
        try:
            await self._send(command)
        finally:
            _count_down(self._unsent, channel)
        if channel in self._asked_for:
            self._tell_begun(channel)

    async def _unsubscribe(self, channel: bytes) -> None:
        self._asked_for.discard(channel)
        if not self._is_sharded:
            await self._pubsub.unsubscribe(channel)
            return
        self._leaving[channel] += 1
        await self._pubsub.sunsubscribe(channel)

    async def _subscribe(self, channels: Collection[bytes]) -> None:
        channels = [channel for channel in channels if channel not in self._asked_for]
        self._asked_for.update(channels)
        self._unconfirmed.update(channels)
        if self._is_sharded:
            for channel in channels:  # those of one command have to be of one slot
                await self._pubsub.ssubscribe(channel)
        elif channels:
            await self._pubsub.subscribe(*channels)

    async def _send(self, command: Callable[[], Awaitable[Any]]) -> None:
        """After a failure the line ends; whoever keeps it makes another one."""
        async with self._sending:
            if self.is_open:
                try:
                    await command()
                except (RedisError, OSError) as error:
                    self._broken = error

    async def _read(self) -> NoReturn:
        """One time-out for all messages of a while: one for each would cost as much as reading it.

        Silence is counted in reads and not by the clock: a process that is busy for seconds has not read what is there.
        """
        silent = 0
        while True:
            silent += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_TIMEOUT_S):
                    while True:
                        message = await self._pubsub.get_message(timeout=None)
                        silent = 0
                        if message is not None:
                            self._handle(message)
            await self._check(silent)

    async def _check(self, silent: int) -> None:
        """After a read timed out; the last `silent` of them have brought nothing."""
        if self._broken is not None:
            raise ConnectionError(f"a command could not be sent: {self._broken}")
        if silent >= SILENT_READS_BEFORE_RECONNECT:
            raise ConnectionError(f"silent for {SILENT_READS_BEFORE_RECONNECT * READ_TIMEOUT_S} s")
        if self._since_heartbeat is not None:
            self._since_heartbeat += 1
            if self._since_heartbeat > READS_WITHOUT_HEARTBEAT:
                raise ConnectionError(f"no heartbeat of the writer for {READS_WITHOUT_HEARTBEAT * READ_TIMEOUT_S} s")
        if silent:
            await self._send(self._pubsub.ping)

    def _handle(self, message: dict[str, Any]) -> None:
        kind, channel = message["type"], message["channel"]
        if kind in ("message", "smessage"):
            self._hear(channel, message["data"])
        elif kind in ("subscribe", "ssubscribe"):
            self._confirm(channel)
        elif kind == "sunsubscribe":
            self._left(channel)

    def _hear(self, channel: bytes, payload: bytes) -> None:
        device_id = self._devices.get(channel)
        if device_id is None:
            if channel == HEARTBEAT_CHANNEL.encode():
                self._since_heartbeat = 0
            self._ear.on_message(channel.decode(), payload)
        elif self._is_sharded and payload == device_id.encode():
            self._ear.on_message(BREAK_CHANNEL, payload)  # on the same way as the readings, so that it is in order
        else:
            self._ear.on_reading(device_id, payload)

    def _left(self, channel: bytes) -> None:
        """Where it was not asked for, the channel's slot has moved to another node."""
        if self._leaving[channel]:
            _count_down(self._leaving, channel)
            return
        self._asked_for.discard(channel)
        if channel in self._devices:
            self._ear.on_lost([self._devices.pop(channel)])

    def _confirm(self, channel: bytes) -> None:
        """One that nobody asked for means that redis-py reconnected without a word."""
        _count_down(self._unconfirmed, channel)
        self._tell_begun(channel)

    def _tell_begun(self, channel: bytes) -> None:
        """Unless more about the channel is on its way: what was confirmed is an earlier subscription then."""
        is_settled = self.is_open and channel not in self._unconfirmed and channel not in self._unsent
        if is_settled and channel in self._devices:
            self._ear.on_subscribed(self._devices[channel])

    def _channel(self, device_id: str) -> str:
        return live_channel(device_id, is_cluster=self._is_sharded)


async def _as_it_is(push: Any) -> Any:
    """In place of redis-py's own handler, which formats each message for a debug log."""
    return push


def _count_down(counter: Counter[bytes], channel: bytes) -> None:
    """By one; what is at zero is forgotten."""
    counter[channel] -= 1
    if counter[channel] <= 0:
        del counter[channel]
