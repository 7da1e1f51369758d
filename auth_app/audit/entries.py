"""The audit log: written in the transaction of the change, read in pages, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from auth_app.models import AuditEntry, User

Event = AuditEntry.Event
DETAIL_MAX = 200
ADDRESS_MAX = 64


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first. `next_cursor` requests the next, older page; None on the last one."""

    entries: list[AuditEntry]
    next_cursor: int | None


def audit_record(
    event: AuditEntry.Event,
    *,
    user: User | None,
    address: str,
    device_id: str = "",
    owner_id: int | None = None,
    detail: str = "",
    **more: Any,
) -> None:
    """Write an entry. Call it in the transaction of the change, so that neither exists without the other.

    `address`: that of the client; empty for a command or a timer. `owner_id`: the owner of the device.
    """
    AuditEntry.objects.create(
        event=event,
        user=user,
        username="" if user is None else user.username,
        device_id=device_id,
        owner_id=owner_id,
        detail=detail[:DETAIL_MAX],
        address=address[:ADDRESS_MAX],
        **more,
    )


def audit_of_user(user: User, *, cursor: int | None, limit: int) -> Page:
    """The actions of `user`, and attempts on their account."""
    return _page(AuditEntry.objects.filter(user=user), cursor, limit)


def audit_of_device(device_id: str, owner: User, *, cursor: int | None, limit: int) -> Page:
    """The events of a device while `owner` owned it: a new owner does not see the events before."""
    return _page(AuditEntry.objects.filter(device_id=device_id, owner=owner), cursor, limit)


def _page(entries: QuerySet[AuditEntry], cursor: int | None, limit: int) -> Page:
    if cursor is not None:
        entries = entries.filter(pk__lt=cursor)
    found = list(entries.order_by("-pk")[: limit + 1])
    return Page(found[:limit], found[limit - 1].pk if len(found) > limit else None)
