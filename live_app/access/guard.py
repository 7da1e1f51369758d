"""Ends live delivery when access ends: at once on an access change or an expiry, by a sweep where an event was lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Protocol
from weakref import WeakKeyDictionary

from auth_app.events import AccessChange, listen
from auth_app.identity import Identity, identities_still_valid
from core.accounts import accounts_ask
from core.errors import Unavailable
from devices_app.access import accesses_still_valid

SWEEP_S = 2.0
PORTION_DEVICES = 200
logger = logging.getLogger(__name__)


class Guarded(Protocol):
    """What the guard needs of a live session."""

    identity: Identity

    @property
    def devices(self) -> Collection[str]: ...

    def revoke(self, device_id: str) -> None:
        """Stop sending this device's readings."""

    def sign_out(self) -> None:
        """Close: the credentials are no longer valid."""

    async def restart(self, timeout_s: float) -> None:
        """Close after what is queued has gone: the server stops."""


class Guard:
    """The open sessions of this process, and the checks on them."""

    def __init__(self) -> None:
        self._sessions: set[Guarded] = set()
        self._per_user: Counter[int] = Counter()
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

    async def restart(self, timeout_s: float) -> None:
        """Close every session, as the server stops."""
        await asyncio.gather(*(session.restart(timeout_s) for session in list(self._sessions)))

    @property
    def sessions(self) -> int:
        """How many there are in this process."""
        return len(self._sessions)

    def sessions_of(self, user_id: int) -> int:
        return self._per_user[user_id]

    def add(self, session: Guarded) -> None:
        self._sessions.add(session)
        self._per_user[session.identity.user_id] += 1

    def remove(self, session: Guarded) -> None:
        """Safe to call again."""
        if session not in self._sessions:
            return
        self._sessions.remove(session)
        self._per_user[session.identity.user_id] -= 1
        if not self._per_user[session.identity.user_id]:
            del self._per_user[session.identity.user_id]

    def check_at(self, session: Guarded, moment: float) -> asyncio.TimerHandle:
        """Check this session at `moment` (seconds since the epoch), when something of it expires."""
        return self._loop.call_later(max(0.0, moment - time.time()) + 0.01, self._check_soon, [session])

    def _changed(self, change: AccessChange) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._check_affected, change)

    def _check_affected(self, change: AccessChange) -> None:
        devices = set(change.devices)
        affected = [
            session
            for session in self._sessions
            if session.identity.user_id in change.users
            or session.identity.token_id in change.tokens
            or not devices.isdisjoint(session.devices)
        ]
        self._check_soon(affected)

    def _check_soon(self, sessions: Collection[Guarded]) -> None:
        if sessions:
            task = self._loop.create_task(self._check(sessions))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _sweep(self) -> None:
        """Every session once in `SWEEP_S`, a portion at a time.

        One question about thousands of devices holds the interpreter's lock for so long that frames wait for it.
        """
        while True:
            began = time.monotonic()
            portions = list(_portions(self._sessions)) or [[]]
            for number, portion in enumerate(portions, start=1):
                await self._check(self._sessions.intersection(portion))
                await asyncio.sleep(max(0.0, began + SWEEP_S * number / len(portions) - time.monotonic()))

    async def _check(self, sessions: Collection[Guarded]) -> None:
        if not sessions:
            return
        tokens = {session.identity.token_id for session in sessions}
        pairs = {(session.identity.user_id, device_id) for session in sessions for device_id in session.devices}
        try:
            valid_tokens = await accounts_ask(identities_still_valid, tokens)
            valid_pairs = await accounts_ask(accesses_still_valid, pairs)
        except Unavailable as error:
            logger.warning("access not checked: %s", error)
            return
        for session in sessions:
            if session.identity.token_id not in valid_tokens:
                session.sign_out()
                continue
            for device_id in list(session.devices):
                asked = (session.identity.user_id, device_id)
                if asked in pairs and asked not in valid_pairs:
                    session.revoke(device_id)


def _portions(sessions: Iterable[Guarded]) -> Iterator[list[Guarded]]:
    """Sessions with about `PORTION_DEVICES` devices each."""
    portion: list[Guarded] = []
    devices = 0
    for session in list(sessions):
        portion.append(session)
        devices += 1 + len(session.devices)
        if devices >= PORTION_DEVICES:
            yield portion
            portion, devices = [], 0
    if portion:
        yield portion


_guards: WeakKeyDictionary[asyncio.AbstractEventLoop, Guard] = WeakKeyDictionary()


def guard_of_loop() -> Guard:
    """The guard of the running loop, started."""
    loop = asyncio.get_running_loop()
    guard = _guards.get(loop)
    if guard is None:
        guard = _guards[loop] = Guard()
    guard.start()
    return guard
