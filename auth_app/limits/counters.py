"""How often somebody may try: counted in Redis for all processes, in this one while Redis is away."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.utils.crypto import salted_hmac

from core.bounded import BoundedDict
from core.errors import BadRequest, Forbidden, TooManyAttempts, Unauthorized
from core.redis import redis_client
from telemetry.redis import RedisError, redis_client_sync

logger = logging.getLogger(__name__)

# Each runs as one step in Redis, so that a burst of attempts cannot slip through between reading and counting.
# TAKE answers 0 when the attempt was counted, else the milliseconds until the next one is allowed.
_TAKE = """
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then
  return math.max(redis.call('PTTL', KEYS[1]), 1)
end
if redis.call('INCR', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_GIVE_BACK = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then return redis.call('DECR', KEYS[1]) end
return 0
"""


@dataclass(frozen=True, slots=True)
class Counter:
    """The attempts of one subject: at most `most` in ATTEMPT_WINDOW_S, from the first of them on."""

    kind: str
    subject: str
    most: int

    @property
    def key(self) -> str:
        """Keyed with SECRET_KEY: whoever reads Redis does not learn who tries to sign in from where."""
        return f"wattstream:attempts:{self.kind}:{salted_hmac(self.kind, self.subject, algorithm='sha256').hexdigest()}"

    def take(self) -> None:
        """Count one attempt. Raises `TooManyAttempts`, which is not counted."""
        try:
            _absence.require_over()
            wait_ms = int(str(redis_client_sync(settings.REDIS_URL).eval(_TAKE, 1, self.key, *self._limit)))
        except RedisError as error:
            wait_ms = self._take_here(error)
        if wait_ms:
            raise TooManyAttempts(math.ceil(wait_ms / 1000))

    async def take_wait_s(self) -> float:
        """`take` for the event loop: 0 where the attempt was counted, else the seconds until the next one is."""
        try:
            _absence.require_over()
            wait_ms = int(await cast(Any, redis_client()).eval(_TAKE, 1, self.key, *self._limit))
        except RedisError as error:
            wait_ms = self._take_here(error)
        return wait_ms / 1000

    def give_back(self) -> None:
        try:
            _absence.require_over()
            redis_client_sync(settings.REDIS_URL).eval(_GIVE_BACK, 1, self.key)
        except RedisError:
            _local.give_back(self.key)

    @property
    def _limit(self) -> tuple[int, int]:
        return self.most, settings.ATTEMPT_WINDOW_S * 1000

    def _take_here(self, error: RedisError) -> int:
        _absence.begin(error)
        return _local.take(self.key, *self._limit)


class Absence:
    """Redis did not answer a moment ago: it is not asked again at once, since every asking may cost its time-out."""

    def __init__(self, lasts_s: float = 1.0) -> None:
        self._lasts_s = lasts_s
        self._ends = 0.0

    def require_over(self) -> None:
        """Raises `RedisError` while Redis is not to be asked."""
        if time.monotonic() < self._ends:
            raise RedisError("it did not answer a moment ago")

    def begin(self, error: RedisError) -> None:
        if time.monotonic() >= self._ends:
            logger.warning("attempts are counted in this process only: %s", error)
            self._ends = time.monotonic() + self._lasts_s


class LocalCounters:
    """The same in memory. Holds at most `size` subjects; the oldest is forgotten first."""

    def __init__(self, size: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._counts: BoundedDict[str, tuple[int, float]] = BoundedDict(size)

    def take(self, key: str, most: int, window_ms: int) -> int:
        now = time.monotonic()
        with self._lock:
            count, ends = self._counts.get(key, (0, 0.0))
            if ends <= now:
                count, ends = 0, now + window_ms / 1000
            if count >= most:
                return math.ceil((ends - now) * 1000)
            self._counts[key] = (count + 1, ends)
        return 0

    def give_back(self, key: str) -> None:
        with self._lock:
            count, ends = self._counts.get(key, (0, 0.0))
            if count:
                self._counts[key] = (count - 1, ends)


_local = LocalCounters()
_absence = Absence()


def attempts_counted(*counters: Counter) -> None:
    """Count an attempt of each, however it ends. Raises `TooManyAttempts` when one of them is used up."""
    for counter in counters:
        counter.take()


@contextmanager
def failures_counted(*counters: Counter) -> Iterator[None]:
    """Count an attempt before the block, and give it back unless the block refuses (400, 401, 403).

    Counting first means that attempts made at the same time cannot all pass. Raises `TooManyAttempts` before the
    block runs when one of `counters` is used up.
    """
    taken: list[Counter] = []
    refused = False
    try:
        for counter in counters:
            counter.take()
            taken.append(counter)
        yield
    except (BadRequest, Unauthorized, Forbidden):
        refused = True
        raise
    finally:
        if not refused:
            for counter in taken:
                counter.give_back()
