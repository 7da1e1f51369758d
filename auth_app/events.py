"""Access changes: recorded in their own transaction, published to every server process over Redis after the commit.

A process that misses the event on Redis reads the change from the log (auth_app/access_changes.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from django.db import transaction

from auth_app.access_changes import change_record
from core.bounded import BoundedDict

CHANNEL = "wattstream:access"
APPLIED_KEPT = 1_000  # ids of changes: an event on Redis and its copy in the log are at most seconds apart


@dataclass(frozen=True, slots=True)
class AccessChange:
    """Whose access may have changed: users by id, devices by device id, tokens by id."""

    users: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()


Listener = Callable[[AccessChange], None]
Publish = Callable[[bytes], None]
_listeners: list[Listener] = []
_publishers: list[Publish] = []
_applied: BoundedDict[int, None] = BoundedDict(APPLIED_KEPT)
_applied_lock = threading.Lock()


def listen(listener: Listener) -> None:
    """Call `listener` for every change that this process makes or learns of. The call may come from any thread."""
    _listeners.append(listener)


def unlisten(listener: Listener) -> None:
    """Stop calling `listener`. Does nothing if it is not called."""
    if listener in _listeners:
        _listeners.remove(listener)


def publish_with(publisher: Publish) -> None:
    """Hand every change that this process makes to `publisher`, as JSON for `hear`, after the commit."""
    _publishers.append(publisher)


def announce(change: AccessChange) -> None:
    """Record the change in the surrounding transaction, and publish it once that is committed.

    Raises `TransactionManagementError` outside a transaction: the change and its record must not part.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("an access change needs a transaction")
    fields = asdict(change)
    pk = change_record(orjson.dumps(fields).decode())
    transaction.on_commit(lambda: _publish(pk, fields))


def hear(payload: bytes | str) -> None:
    """Apply a change that came over Redis. Raises ValueError if the payload is not an access change."""
    try:
        fields = orjson.loads(payload)
        pk = fields.pop("id", None)
        if not (pk is None or isinstance(pk, int)):
            raise TypeError("id: a number")
        apply(pk, fields)
    except (orjson.JSONDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"not an access change: {error}") from error


def apply_recorded(pk: int, payload: str) -> None:
    """Apply a change from the log, unless its event came over Redis before."""
    apply(pk, orjson.loads(payload))


def apply(pk: int | None, fields: dict[str, Any]) -> None:
    """Pass a change to every listener, once. Raises TypeError if `fields` are not those of an `AccessChange`."""
    change = AccessChange(**{name: tuple(ids) for name, ids in fields.items()})
    if pk is not None and not _is_first(pk):
        return
    for listener in tuple(_listeners):
        listener(change)


def _is_first(pk: int) -> bool:
    with _applied_lock:
        if pk in _applied:
            return False
        _applied[pk] = None
        return True


def _publish(pk: int, fields: dict[str, Any]) -> None:
    apply(pk, fields)
    payload = orjson.dumps({"id": pk, **fields})
    for publisher in _publishers:
        publisher(payload)
