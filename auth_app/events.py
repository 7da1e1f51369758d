"""Access changes: said once after the commit, heard by every server process over Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

import orjson
from django.conf import settings
from django.db import transaction

from telemetry.redis import RedisError, redis_client_sync

CHANNEL = "wattstream:access"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccessChange:
    """Whose access may have changed: users by id, devices by device id, tokens by id."""

    users: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()


Listener = Callable[[AccessChange], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Call `listener` for every change this process makes or hears of. It may be called from any thread."""
    _listeners.append(listener)


def announce(change: AccessChange) -> None:
    """Tell every process once the surrounding transaction is committed."""
    transaction.on_commit(lambda: _spread(change))


def hear(payload: bytes) -> None:
    """Handle what came over Redis. Raises ValueError when it is not an access change."""
    try:
        fields = orjson.loads(payload)
        change = AccessChange(**{name: tuple(ids) for name, ids in fields.items()})
    except (orjson.JSONDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"not an access change: {error}") from error
    _tell(change)


def _tell(change: AccessChange) -> None:
    for listener in _listeners:
        listener(change)


def _spread(change: AccessChange) -> None:
    _tell(change)
    try:
        redis_client_sync(settings.REDIS_URL).publish(CHANNEL, orjson.dumps(asdict(change)))
    except RedisError as error:
        # Not fatal: every process asks again within ACCESS_CACHE_S.
        logger.warning("access change not announced, others follow in %s s: %s", settings.ACCESS_CACHE_S, error)
