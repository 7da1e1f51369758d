"""The audit log: written with the change that it tells of, read page by page, newest first."""

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
    """Some entries, newest first; `next_cursor` asks for the ones before them, None where there are none."""

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
    """Write an entry. Call it in the transaction of what it tells of, so that there is neither without the other.

    `address`: where the request came from, empty where there was none (a command, a timer). `owner_id`: of the device.
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
    """What `user` did, and what was tried with their account."""
    return _page(AuditEntry.objects.filter(user=user), cursor, limit)


def audit_of_device(device_id: str, owner: User, *, cursor: int | None, limit: int) -> Page:
    """What happened to the device while it was `owner`'s: who takes a device over does not see who used it before."""
    return _page(AuditEntry.objects.filter(device_id=device_id, owner=owner), cursor, limit)


def _page(entries: QuerySet[AuditEntry], cursor: int | None, limit: int) -> Page:
    if cursor is not None:
        entries = entries.filter(pk__lt=cursor)
    found = list(entries.order_by("-pk")[: limit + 1])
    return Page(found[:limit], found[limit - 1].pk if len(found) > limit else None)
