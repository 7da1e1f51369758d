"""Admission of live sockets. Failed handshakes are counted in Redis and cached here: a valid one needs no query."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from auth_app.audit.denials import problem_denied
from auth_app.identity import Identity
from auth_app.limits.attempts import Limit, handshake_failures_of_account, handshake_failures_of_address
from auth_app.limits.counters import attempt_take_wait_s
from auth_app.scopes import TokenScope
from core.errors import Forbidden, Unavailable
from devices_app.access import access_require
from live_app.access import handshake
from live_app.access.guard import SessionLimitReached, guard_of_loop
from live_app.delivery import protocol


class Refused(Exception):
    """The handshake fails. `code`: the close code. The text, if any, is the close reason."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


AT_ONCE = 16  # failures counted at the same time, each on a connection to Redis


class Gate:
    """Shut for an account or address that failed too often, until its window ends. Remembers the `size` latest ones."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._ends: OrderedDict[str, float] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)

    def is_shut(self, limit: Limit) -> bool:
        return bool(self._ends) and self._ends.get(limit.key, 0.0) > time.monotonic()

    async def failed(self, *limits: Limit) -> bool:
        """Count a failure in each limit. Returns whether any of them is exceeded."""
        async with self._turns:
            waits_s = [await attempt_take_wait_s(limit) for limit in limits]
        for limit, wait_s in zip(limits, waits_s, strict=True):
            if wait_s:
                self._ends[limit.key] = time.monotonic() + wait_s
                self._ends.move_to_end(limit.key)
        while len(self._ends) > self._size:
            self._ends.popitem(last=False)
        return any(waits_s)


gate = Gate()


@asynccontextmanager
async def admitted(scope: handshake.ConnectionScope, device_id: str | None) -> AsyncIterator[Identity]:
    """Admit a handshake, and keep a place among the user's sockets for it while the block runs.

    `device_id` is the one device of the URL, if the URL names one. Raises `Refused`.
    """
    of_address = handshake_failures_of_address(handshake.address_of(scope))
    _require_open(of_address)
    try:
        identity = await handshake.identify_scope(scope)
    except Unavailable as away:
        raise Refused(protocol.CLOSE_INTERNAL) from away
    if identity is None:
        await _fail(Refused(protocol.CLOSE_UNAUTHENTICATED), of_address)
    of_account = handshake_failures_of_account(identity.user_id)
    _require_open(of_account)
    try:
        with guard_of_loop().reserved(identity.user_id):  # before anything is awaited: handshakes come in bursts
            await _require_access(identity, device_id)
            yield identity
    except SessionLimitReached as full:
        raise Refused(protocol.CLOSE_TOO_MANY) from full
    except Unavailable as away:
        raise Refused(protocol.CLOSE_INTERNAL) from away
    except Forbidden as problem:
        problem_denied(problem, identity=identity, what="live", address=handshake.address_of(scope))
        await _fail(Refused(protocol.CLOSE_FORBIDDEN, problem.detail), of_account, of_address)


async def _require_access(identity: Identity, device_id: str | None) -> None:
    """Raises `Forbidden`, `Unavailable`."""
    identity.require(TokenScope.LIVE)
    if device_id is not None:
        await access_require(identity.user_id, [device_id])


def _require_open(limit: Limit) -> None:
    if gate.is_shut(limit):
        raise Refused(protocol.CLOSE_TOO_MANY)


async def _fail(refused: Refused, *limits: Limit) -> NoReturn:
    if await gate.failed(*limits):
        raise Refused(protocol.CLOSE_TOO_MANY)
    raise refused
