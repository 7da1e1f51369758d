"""Queries about devices. Only access.py decides who may see what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import DeviceForbidden, Forbidden
from devices_app.access import OWNER, Access, access_of, candidates_of
from devices_app.models import Device, Grant
from devices_app.presence import Presence, presence_of
from telemetry.times import us_from_datetime

# Later times can be stored, but a float of them may round up to the year 10000.
LATEST_S = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class VisibleDevice:
    """A device as one user sees it. `expires_at`: the end of their grant; None for the owner and for no end."""

    device_id: str
    name: str
    role: str
    online: bool
    last_seen: datetime | None
    timezone: str
    owner: str
    expires_at: datetime | None


def devices_of(user_id: int) -> list[VisibleDevice]:
    """The devices that the user owns or that are shared with them, by device id."""
    return _visible(user_id, candidates_of(user_id))


def device_of(user_id: int, device_id: str) -> VisibleDevice:
    """Raises `DeviceForbidden`."""
    visible = _visible(user_id, [device_id])
    if not visible:
        raise DeviceForbidden().about(device_id)
    return visible[0]


def device_owned(user_id: int, device_id: str) -> Device:
    """Raises `DeviceForbidden`, and `Forbidden` (code `owner_only`) for a viewer."""
    access = access_of(user_id, [device_id]).get(device_id)
    if access is None:
        raise DeviceForbidden().about(device_id)
    if access.role != OWNER:
        raise Forbidden("Only the owner of the device may do this.", code="owner_only").about(device_id)
    device = Device.objects.filter(device_id=device_id, owner_id=user_id).first()
    if device is None:
        raise DeviceForbidden().about(device_id)
    return device


def shares_of(device: Device) -> list[Grant]:
    """The active grants by username, sorted here because each database has its own collation."""
    grants = Grant.objects.active().filter(device=device).select_related("user")
    return sorted(grants, key=lambda grant: grant.user.username)


def _visible(user_id: int, device_ids: Collection[str]) -> list[VisibleDevice]:
    accesses = access_of(user_id, device_ids)
    if not accesses:
        return []
    devices = Device.objects.filter(device_id__in=accesses).select_related("owner")
    presences = presence_of(accesses)
    return [
        _view(device, accesses[device.device_id], presences[device.device_id])
        for device in sorted(devices, key=lambda device: device.device_id)
    ]


def _view(device: Device, access: Access, presence: Presence) -> VisibleDevice:
    is_before = presence.last_seen and access.since and us_from_datetime(presence.last_seen) < access.since
    if is_before:
        presence = Presence()
    return VisibleDevice(
        device_id=device.device_id,
        name=device.name,
        role=access.role,
        online=presence.is_online,
        last_seen=presence.last_seen,
        timezone=device.timezone,
        owner=device.owner.username if device.owner else "",
        expires_at=None if access.expires_at is None else datetime.fromtimestamp(min(access.expires_at, LATEST_S), UTC),
    )
