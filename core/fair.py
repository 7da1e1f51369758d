"""Fair shares: what one user can occupy, so that heavy use delays only its own user.

`FairGate` shares slots (connections, exports, joins), `FairRate` bounds how much a user replays per second, and
`in_turn` shares the CPU: long computations leave the event loop and take turns on one thread. The user is that of the
current request or socket (telemetry/logs.py). Work of the server itself has no user and no limit of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from core.errors import Unavailable
from core.singletons import PerLoop
from telemetry.logs import CONTEXT

T = TypeVar("T")
TOO_MANY = "Too many of your requests are waiting; send fewer at once."
INLINE_UNITS = 300  # of about 20 µs: a shorter computation is not worth a thread
LONG_WAITING_PER_USER = 32
RETRY_AFTER_S = 2
SWITCH_S = 0.0005  # Python's own is 5 ms


def user_now() -> int | None:
    """The user of the current request or socket, None for the server itself."""
    context = CONTEXT.get()
    return None if context is None else context.user


class FairGate:
    """At most `at_once` holders, at most `per_user` of one user. Users with waiting work take turns.

    `waiting_per_user`: how many tasks of one user may wait; 0: none waits. `busy`: the message of the refusal. Use one
    instance per event loop.
    """

    def __init__(
        self,
        *,
        at_once: int,
        per_user: int,
        waiting_per_user: int,
        busy: str = TOO_MANY,
        retry_after_s: int = RETRY_AFTER_S,
    ) -> None:
        self._at_once = at_once
        self._per_user = per_user
        self._waiting_per_user = waiting_per_user
        self._busy = busy
        self._retry_after_s = retry_after_s
        self._held: Counter[int | None] = Counter()
        self._waiting: OrderedDict[int | None, deque[asyncio.Future[None]]] = OrderedDict()  # next user first

    @property
    def held(self) -> int:
        """The number of holders."""
        return self._held.total()

    @property
    def waiting(self) -> int:
        """The number of tasks that wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold a slot for the current user. Raises `Unavailable` if too many tasks of this user wait already."""
        user = user_now()
        if user in self._waiting or not self._has_room(user):
            await self._wait(user)
        else:
            self._held[user] += 1
        try:
            yield
        finally:
            self._release(user)

    def _has_room(self, user: int | None) -> bool:
        return self.held < self._at_once and (user is None or self._held[user] < self._per_user)

    async def _wait(self, user: int | None) -> None:
        if user is not None and len(self._waiting.get(user, ())) >= self._waiting_per_user:
            raise Unavailable(self._busy, retry_after_s=self._retry_after_s)
        queue = self._waiting.setdefault(user, deque())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # let in just before
                self._release(user)
            elif turn in queue:
                queue.remove(turn)
                if not queue:
                    del self._waiting[user]
            raise

    def _release(self, user: int | None) -> None:
        self._held[user] -= 1
        if not self._held[user]:
            del self._held[user]
        for waiting in list(self._waiting):
            while waiting in self._waiting and self._has_room(waiting):
                self._let_in(waiting)

    def _let_in(self, user: int | None) -> None:
        queue = self._waiting[user]
        turn = queue.popleft()
        if not turn.cancelled():
            self._held[user] += 1
            turn.set_result(None)
        if queue:
            self._waiting.move_to_end(user)
        else:
            del self._waiting[user]


class FairRate:
    """At most `burst` units at once and `per_second` after that, for each user. Use one instance per event loop."""

    def __init__(self, *, burst: int, per_second: int) -> None:
        self._burst_s = burst / per_second
        self._per_second = per_second
        self._paid_at: dict[int, float] = {}  # when the user's units are paid, by the loop's clock

    def wait_s(self) -> float:
        """How long the current user has to wait before it may use more, 0 if it may now."""
        user = user_now()
        if user is None:
            return 0.0
        return max(0.0, self._paid_at.get(user, 0.0) - self._burst_s - asyncio.get_running_loop().time())

    def charge(self, units: int) -> None:
        """Count units that the current user has used."""
        user = user_now()
        now = asyncio.get_running_loop().time()
        if user is not None and units:
            self._paid_at = {key: at for key, at in self._paid_at.items() if at > now}
            self._paid_at[user] = max(self._paid_at.get(user, now), now) + units / self._per_second


def _yield_often() -> None:
    """Let the event loop have the interpreter lock back soon: it needs it several times per request."""
    sys.setswitchinterval(SWITCH_S)


_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="long computation", initializer=_yield_often)
_long = PerLoop(lambda: FairGate(at_once=1, per_user=1, waiting_per_user=LONG_WAITING_PER_USER))


async def in_turn(work: Callable[[], T], *, units: float) -> T:
    """Return `work()`: here if it is short, else on the thread for long computations, when it is this user's turn.

    `units`: how long it takes, in units of about 20 µs. Raises what `work` raises, and `Unavailable`.
    """
    if units <= INLINE_UNITS:
        return work()
    async with _long().turn():
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(_thread, context.run, work)
