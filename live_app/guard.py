"""Ends live delivery when access ends: at once on an access change or an expiry, by a sweep where an event was lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from typing import Protocol
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db import DatabaseError

from auth_app.events import AccessChange, listen
from auth_app.identity import Identity, identities_still_valid
from devices_app.access import accesses_still_valid

SWEEP_S = 2.0
logger = logging.getLogger(__name__)


class Guarded(Protocol):
    """What the guard needs of a socket."""

    identity: Identity

    @property
    def devices(self) -> Collection[str]: ...

    def revoke(self, device_id: str) -> None:
        """Stop sending this device's readings."""

    def sign_out(self) -> None:
        """Close: the credentials are no longer valid."""


class Guard:
    """The open sockets of this process, and the checks on them."""

    def __init__(self) -> None:
        self._sockets: set[Guarded] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._checks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        listen(self._changed)

    def start(self) -> None:
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep(), name="live guard")

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()

    def sockets_of(self, user_id: int) -> int:
        return sum(socket.identity.user_id == user_id for socket in self._sockets)

    def add(self, socket: Guarded) -> None:
        self._sockets.add(socket)

    def remove(self, socket: Guarded) -> None:
        self._sockets.discard(socket)

    def check_at(self, socket: Guarded, moment: float) -> asyncio.TimerHandle:
        """Check this socket at `moment` (seconds since the epoch), when something of it expires."""
        return self._loop.call_later(max(0.0, moment - time.time()) + 0.01, self._check_soon, [socket])

    def _changed(self, change: AccessChange) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._check_affected, change)

    def _check_affected(self, change: AccessChange) -> None:
        devices = set(change.devices)
        affected = [
            socket
            for socket in self._sockets
            if socket.identity.user_id in change.users
            or socket.identity.token_id in change.tokens
            or not devices.isdisjoint(socket.devices)
        ]
        self._check_soon(affected)

    def _check_soon(self, sockets: Collection[Guarded]) -> None:
        if sockets:
            task = self._loop.create_task(self._check(sockets))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            if self._sockets:
                await self._check(list(self._sockets))

    async def _check(self, sockets: Collection[Guarded]) -> None:
        tokens = {socket.identity.token_id for socket in sockets}
        pairs = {(socket.identity.user_id, device_id) for socket in sockets for device_id in socket.devices}
        try:
            valid_tokens = await database_sync_to_async(identities_still_valid)(tokens)
            valid_pairs = await database_sync_to_async(accesses_still_valid)(pairs)
        except DatabaseError as error:
            logger.warning("access not checked, the accounts database is unreachable: %s", error)
            return
        for socket in sockets:
            if socket.identity.token_id not in valid_tokens:
                socket.sign_out()
                continue
            for device_id in list(socket.devices):
                asked = (socket.identity.user_id, device_id)
                if asked in pairs and asked not in valid_pairs:
                    socket.revoke(device_id)


_guards: WeakKeyDictionary[asyncio.AbstractEventLoop, Guard] = WeakKeyDictionary()


def guard_of_loop() -> Guard:
    """The guard of the running loop, started."""
    loop = asyncio.get_running_loop()
    guard = _guards.get(loop)
    if guard is None:
        guard = _guards[loop] = Guard()
    guard.start()
    return guard
