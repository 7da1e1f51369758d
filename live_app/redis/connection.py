"""One subscriber connection to Redis, from its first subscription to its end, which is always an error."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any, NoReturn, Protocol

from redis.asyncio.client import PubSub

from live_app.metrics import metrics
from telemetry.names import BREAK_CHANNEL, HEARTBEAT_CHANNEL, live_channel
from telemetry.redis import AsyncRedis, RedisError, redis_close

RECONNECT_PAUSE_S = 0.2
READ_TIMEOUT_S = 0.75
SILENT_READS_BEFORE_RECONNECT = 3
# A node that is cut off from the writer's node answers a PING, but forwards no heartbeats.
READS_WITHOUT_HEARTBEAT = 14
logger = logging.getLogger(__name__)


class SubscriberListener(Protocol):
    """Receives what a subscriber connection reads. All calls come from the event loop, in the order of Redis."""

    def on_reading(self, device_id: str, payload: bytes) -> None:
        """A message on a device's channel."""

    def on_message(self, channel: str, payload: bytes) -> None:
        """A message on any other channel."""

    def on_subscribed(self, device_id: str) -> None:
        """The stream of a device begins here. If it had begun before, it broke unnoticed meanwhile."""

    def on_lost(self, device_ids: Collection[str]) -> None:
        """The streams of these devices have broken."""


class SubscriberConnection:
    """Constructed closed. `listen` opens it and ends with an error; the connection cannot be used again.

    `client` leads to one server. Read the rings of the devices from that server: the ring of a former master may end
    before the stream of the next one begins. `channels`: to subscribe to besides the heartbeat and the devices.
    `is_sharded`: use the shard channels of a cluster, which only the node that holds them publishes.
    """

    def __init__(
        self,
        client: AsyncRedis,
        listener: SubscriberListener,
        *,
        channels: Collection[str] = (),
        device_ids: Collection[str] = (),
        is_sharded: bool = False,
    ) -> None:
        self.client = client
        self._pubsub: PubSub = client.pubsub(push_handler_func=_unchanged)
        self._listener = listener
        self._channels = (HEARTBEAT_CHANNEL, *channels)
        self._is_sharded = is_sharded
        self._devices = {self._channel(device_id).encode(): device_id for device_id in device_ids}
        self._requested: set[bytes] = set()
        self._unconfirmed: Counter[bytes] = Counter()
        self._leaving: Counter[bytes] = Counter()  # shard channels with an unsubscribe in progress
        self._unsent: Counter[bytes] = Counter()  # commands per channel that wait to be sent
        self._sending = asyncio.Lock()
        self._broken: Exception | None = None
        self._since_heartbeat: int | None = None  # in reads; None before the first heartbeat
        self.is_open = False
        self.has_ended = False

    async def listen(self) -> NoReturn:
        """Subscribe, and pass messages on until the connection breaks or falls silent. Raises RedisError, OSError."""
        metrics.connections += 1
        try:
            async with self._sending:
                self.is_open = True
                await self._pubsub.subscribe(*self._channels)
                await self._subscribe(list(self._devices))
            await self._read()
        finally:
            self.is_open, self.has_ended = False, True
            self._listener.on_lost(list(self._devices.values()))
            with suppress(RedisError, OSError):
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]
                await redis_close(self.client)

    def add(self, device_id: str) -> Coroutine[Any, Any, None]:
        """Add a device. Returns the coroutine that subscribes to it in Redis."""
        channel = self._channel(device_id).encode()
        self._devices[channel] = device_id
        self._unsent[channel] += 1
        return self._send_for(channel, lambda: self._subscribe([channel]))

    def remove(self, device_id: str) -> Coroutine[Any, Any, None]:
        """Remove a device. Returns the coroutine that unsubscribes from it in Redis."""
        channel = self._channel(device_id).encode()
        self._devices.pop(channel, None)
        self._unsent[channel] += 1
        return self._send_for(channel, lambda: self._unsubscribe(channel))

    async def _send_for(self, channel: bytes, command: Callable[[], Awaitable[Any]]) -> None:
        try:
            await self._send(command)
        finally:
            _count_down(self._unsent, channel)
        if channel in self._requested:
            self._report_begun(channel)

    async def _unsubscribe(self, channel: bytes) -> None:
        self._requested.discard(channel)
        if not self._is_sharded:
            await self._pubsub.unsubscribe(channel)
            return
        self._leaving[channel] += 1
        await self._pubsub.sunsubscribe(channel)

    async def _subscribe(self, channels: Collection[bytes]) -> None:
        channels = [channel for channel in channels if channel not in self._requested]
        self._requested.update(channels)
        self._unconfirmed.update(channels)
        if self._is_sharded:
            for channel in channels:  # all channels of one command must be in one slot
                await self._pubsub.ssubscribe(channel)
        elif channels:
            await self._pubsub.subscribe(*channels)

    async def _send(self, command: Callable[[], Awaitable[Any]]) -> None:
        """Send a command. A failure ends the connection at the next check."""
        async with self._sending:
            if self.is_open:
                try:
                    await command()
                except (RedisError, OSError) as error:
                    self._broken = error

    async def _read(self) -> NoReturn:
        """Read with one timeout for many messages: a timeout per message would cost as much as reading it.

        A busy process may not have read yet what has arrived: silence is counted in reads, not in seconds.
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
        """Check the connection after a read timed out. The last `silent` reads brought nothing."""
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
            self._receive(channel, message["data"])
        elif kind in ("subscribe", "ssubscribe"):
            self._confirm(channel)
        elif kind == "sunsubscribe":
            self._on_unsubscribed(channel)

    def _receive(self, channel: bytes, payload: bytes) -> None:
        device_id = self._devices.get(channel)
        if device_id is None:
            if channel == HEARTBEAT_CHANNEL.encode():
                self._since_heartbeat = 0
            self._listener.on_message(channel.decode(), payload)
        elif self._is_sharded and payload == device_id.encode():
            self._listener.on_message(BREAK_CHANNEL, payload)  # sent like a reading, so that it arrives in order
        else:
            self._listener.on_reading(device_id, payload)

    def _on_unsubscribed(self, channel: bytes) -> None:
        """The channel has ended. If this was not requested, its slot has moved to another node."""
        if self._leaving[channel]:
            _count_down(self._leaving, channel)
            return
        self._requested.discard(channel)
        if channel in self._devices:
            self._listener.on_lost([self._devices.pop(channel)])

    def _confirm(self, channel: bytes) -> None:
        """A confirmation without a request means that redis-py reconnected silently."""
        _count_down(self._unconfirmed, channel)
        self._report_begun(channel)

    def _report_begun(self, channel: bytes) -> None:
        """Report the stream, unless another command for the channel is on its way: then this was an earlier one."""
        is_settled = self.is_open and channel not in self._unconfirmed and channel not in self._unsent
        if is_settled and channel in self._devices:
            self._listener.on_subscribed(self._devices[channel])

    def _channel(self, device_id: str) -> str:
        return live_channel(device_id, is_cluster=self._is_sharded)


async def _unchanged(push: Any) -> Any:
    """Replaces redis-py's handler, which formats each message for a debug log."""
    return push


def _count_down(counter: Counter[bytes], channel: bytes) -> None:
    """Subtract one, and remove a count of zero."""
    counter[channel] -= 1
    if counter[channel] <= 0:
        del counter[channel]


class connection_logged(suppress):  # noqa: N801 - used like a function
    """Log a lost connection, and continue after the block."""

    def __init__(self, server: str) -> None:
        super().__init__(RedisError, OSError)
        self._server = server

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        is_lost = super().__exit__(kind, error, trace)
        if is_lost:
            logger.warning("connection to %s lost, reconnecting: %s", self._server, error)
        return is_lost
