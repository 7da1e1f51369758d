"""Counts attempts: in Redis for all processes, in this process while Redis is unavailable."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.conf import settings

from auth_app.limits.attempts import Limit
from core.bounded import BoundedDict
from core.errors import BadRequest, Forbidden, TooManyAttempts, Unauthorized
from core.redis import redis_client
from telemetry.redis import RedisError, redis_client_sync

logger = logging.getLogger(__name__)

# Each script is one step in Redis: a burst of attempts cannot slip through between reading and counting.
# TAKE returns 0 if the attempt was counted, else the milliseconds until the next one is allowed.
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


def attempt_take(limit: Limit) -> None:
    """Count one attempt. Raises `TooManyAttempts`; such an attempt is not counted."""
    try:
        _absence.require_over()
        wait_ms = int(str(redis_client_sync(settings.REDIS_URL).eval(_TAKE, 1, limit.key, *_bounds(limit))))
    except RedisError as error:
        wait_ms = _take_here(limit, error)
    if wait_ms:
        raise TooManyAttempts(math.ceil(wait_ms / 1000))


async def attempt_take_wait_s(limit: Limit) -> float:
    """Count one attempt, from the event loop. Returns 0 if it was counted, else the seconds until one will be."""
    try:
        _absence.require_over()
        wait_ms = int(await cast(Any, redis_client()).eval(_TAKE, 1, limit.key, *_bounds(limit)))
    except RedisError as error:
        wait_ms = _take_here(limit, error)
    return wait_ms / 1000


def attempt_give_back(limit: Limit) -> None:
    """Take back one counted attempt."""
    try:
        _absence.require_over()
        redis_client_sync(settings.REDIS_URL).eval(_GIVE_BACK, 1, limit.key)
    except RedisError:
        _local.give_back(limit.key)


def _bounds(limit: Limit) -> tuple[int, int]:
    return limit.most, settings.ATTEMPT_WINDOW_S * 1000


def _take_here(limit: Limit, error: RedisError) -> int:
    _absence.begin(error)
    return _local.take(limit.key, *_bounds(limit))


class Absence:
    """Skips Redis for a moment after it did not answer, because each further attempt may cost a whole timeout."""

    def __init__(self, lasts_s: float = 1.0) -> None:
        self._lasts_s = lasts_s
        self._ends = 0.0

    def require_over(self) -> None:
        """Raises `RedisError` during the pause after a failure of Redis."""
        if time.monotonic() < self._ends:
            raise RedisError("it did not answer a moment ago")

    def begin(self, error: RedisError) -> None:
        if time.monotonic() >= self._ends:
            logger.warning("attempts are counted in this process only: %s", error)
            self._ends = time.monotonic() + self._lasts_s


class LocalCounters:
    """The same in memory, for at most `size` subjects; the oldest is dropped first."""

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


def attempts_counted(*limits: Limit) -> None:
    """Count an attempt against each, whatever its outcome. Raises `TooManyAttempts` if one of them is used up."""
    for limit in limits:
        attempt_take(limit)


@contextmanager
def failures_counted(*limits: Limit) -> Iterator[None]:
    """Count an attempt before the block, and take it back unless the block refuses (400, 401, 403).

    Counting first prevents simultaneous attempts from all passing. Raises `TooManyAttempts` before the block runs if
    one of `limits` is used up.
    """
    taken: list[Limit] = []
    refused = False
    try:
        for limit in limits:
            attempt_take(limit)
            taken.append(limit)
        yield
    except (BadRequest, Unauthorized, Forbidden):
        refused = True
        raise
    finally:
        if not refused:
            for limit in taken:
                attempt_give_back(limit)
