"""The open sessions of this process, and the checks that end them when access ends.

A session is checked when an access change names its user, its token or one of its devices, and when something of it
expires. Changes come over Redis at once, and from the log in the accounts database where an event was lost. A change
that somebody made with SQL is in neither: for these, every session is checked once in `RECHECK_S`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.conf import settings

from auth_app.access_changes import ChangeReader
from auth_app.events import AccessChange, apply_recorded, listen, unlisten
from core.accounts import accounts_ask
from core.errors import Unavailable
from core.singletons import PerLoop
from core.tasks import Service, Tasks
from live_app.access.checks import Guarded, portions, sessions_check

SWEEP_S = 2.0  # a lost event is made good within 5 s
RECHECK_S = 300.0
RECHECK_PARTS = int(RECHECK_S / SWEEP_S)
logger = logging.getLogger(__name__)


class SessionLimitReached(Exception):
    """The user has LIVE_SOCKETS_PER_USER sessions in this process."""


class Guard:
    """One per event loop."""

    def __init__(self) -> None:
        self._sessions: set[Guarded] = set()
        self._per_user: Counter[int] = Counter()  # open sessions, and those about to open
        self._unchecked: set[Guarded] = set()  # the accounts database did not answer
        self._changes = ChangeReader()
        self._sweeper = Service(self._sweep, name="live guard")
        self._checks = Tasks("live guard")
        self._loop = asyncio.get_running_loop()
        listen(self._changed)

    def start(self) -> None:
        """Idempotent."""
        self._sweeper.start()

    async def close(self) -> None:
        unlisten(self._changed)
        await self._sweeper.close()
        await self._checks.close()

    async def restart(self, timeout_s: float) -> None:
        """Close every session, as the server stops."""
        await asyncio.gather(*(session.restart(timeout_s) for session in list(self._sessions)))

    @property
    def sessions(self) -> int:
        """The number of open sessions in this process."""
        return len(self._sessions)

    @contextmanager
    def reserved(self, user_id: int) -> Iterator[None]:
        """Reserve a session of the user while its handshake waits. Raises `SessionLimitReached`."""
        if self._per_user[user_id] >= settings.LIVE_SOCKETS_PER_USER:
            raise SessionLimitReached
        self._per_user[user_id] += 1
        try:
            yield
        finally:
            self._release(user_id)

    def add(self, session: Guarded) -> None:
        self._sessions.add(session)
        self._per_user[session.identity.user_id] += 1

    def remove(self, session: Guarded) -> None:
        """Idempotent."""
        if session in self._sessions:
            self._sessions.remove(session)
            self._unchecked.discard(session)
            self._release(session.identity.user_id)

    def check_at(self, session: Guarded, moment: float) -> asyncio.TimerHandle:
        """Check this session at `moment` (seconds since the epoch), when something of it expires."""
        return self._loop.call_later(max(0.0, moment - time.time()) + 0.01, self._check_soon, [session])

    def _release(self, user_id: int) -> None:
        self._per_user[user_id] -= 1
        if not self._per_user[user_id]:
            del self._per_user[user_id]

    # --- when to check ---

    def _changed(self, change: AccessChange) -> None:
        """Called from any thread."""
        self._loop.call_soon_threadsafe(self._check_affected, change)

    def _check_affected(self, change: AccessChange) -> None:
        users, tokens, devices = set(change.users), set(change.tokens), set(change.devices)
        self._check_soon(
            [
                session
                for session in self._sessions
                if session.identity.user_id in users
                or session.identity.token_id in tokens
                or not devices.isdisjoint(session.devices)
            ]
        )

    def _check_soon(self, sessions: Collection[Guarded]) -> None:
        if sessions:
            self._checks.spawn(self._check(sessions))

    async def _sweep(self) -> None:
        number = 0
        while True:
            due = self._unchecked | self._due(number) if await self._hear_recorded() else self._sessions
            await self._check(due)
            number += 1
            await asyncio.sleep(SWEEP_S)

    async def _hear_recorded(self) -> bool:
        """Apply the logged changes whose events this process missed. False: any access may have changed."""
        try:
            changes = await accounts_ask(self._changes.read)
        except Unavailable as error:
            logger.warning("access changes not read: %s", error)
            return True
        for pk, change in (changes or {}).items():
            apply_recorded(pk, change)
        return changes is not None

    def _due(self, number: int) -> set[Guarded]:
        """The sessions whose turn it is: each once in `RECHECK_PARTS` sweeps."""
        part = number % RECHECK_PARTS
        return {session for session in self._sessions if hash(session) % RECHECK_PARTS == part}

    # --- the check ---

    async def _check(self, sessions: Collection[Guarded]) -> None:
        for portion in portions(sessions):
            try:
                await sessions_check(portion)
                self._unchecked.difference_update(portion)
            except Unavailable as error:
                logger.warning("access not checked, another attempt follows: %s", error)
                self._unchecked |= self._sessions.intersection(portion)


def _start() -> Guard:
    guard = Guard()
    guard.start()
    return guard


guard_of_loop = PerLoop(_start)
