"""Writes the refusals that auth_app/audit/denials.py has counted, so that the owner of the device can read them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from auth_app.audit.denials import PendingEntry, tally
from auth_app.models import AuditEntry, User
from devices_app.models import Device


@dataclass(frozen=True, slots=True)
class Known:
    """The users (by id) and owners (by device id) that the entries name and that still exist."""

    users: frozenset[int]
    owners: dict[str, int | None]


def denials_write() -> None:
    """Write the refusals since the last call. Those that cannot be written are kept for the next call."""
    taken = tally.take()
    if not taken:
        return
    try:
        with transaction.atomic():
            known = _known([line for line, _ in taken])
            entry_ids = [_write(line, count, known) for line, count in taken]
    except BaseException:
        tally.give_back(taken)
        raise
    for (line, _), entry_id in zip(taken, entry_ids, strict=True):
        line.entry_id = entry_id


def _known(lines: Collection[PendingEntry]) -> Known:
    users = User.objects.filter(pk__in={line.denial.user_id for line in lines if line.denial.user_id is not None})
    devices = Device.objects.filter(device_id__in={line.denial.device_id for line in lines})
    return Known(frozenset(users.values_list("pk", flat=True)), dict(devices.values_list("device_id", "owner_id")))


def _write(line: PendingEntry, count: int, known: Known) -> int:
    """Insert or update the row of an entry. Returns its id."""
    if line.entry_id is not None:
        AuditEntry.objects.filter(pk=line.entry_id).update(count=F("count") + count)
        return line.entry_id
    denial = line.denial
    entry = AuditEntry.objects.create(
        time=line.time,
        event=denial.event,
        user_id=denial.user_id if denial.user_id in known.users else None,
        username=denial.username,
        device_id=denial.device_id,
        owner_id=known.owners.get(denial.device_id),
        detail=denial.detail,
        address=denial.address,
        count=count,
    )
    return entry.pk
