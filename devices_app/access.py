"""The access decision: may a user see a device? The only place that makes it, with its cache."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from auth_app.events import AccessChange, listen
from core.accounts import accounts_ask
from core.decision_cache import DecisionCache
from core.errors import DeviceForbidden
from devices_app.models import Device, Grant
from telemetry.names import is_device_id
from telemetry.times import us_from_datetime

OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Access:
    """Granted access: `owner` or `viewer`, its end (seconds since the epoch, or None), time zone of the device.

    `since`: readings before this time (µs) belong to a former owner and are not visible; None: all are. Every route
    that reads telemetry limits its question to it.
    """

    role: str
    expires_at: float | None
    timezone: str
    since: int | None = None

    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= time.time()


_cache: DecisionCache[tuple[int, str], Access] = DecisionCache(lifetime_s=settings.ACCESS_CACHE_S)
_candidates: DecisionCache[int, tuple[str, ...]] = DecisionCache(lifetime_s=settings.ACCESS_CACHE_S)


def _forget(change: AccessChange) -> None:
    _cache.purge(lambda key, _: key[0] in change.users or key[1] in change.devices)
    _candidates.purge()  # a change names the device, not the users who gain access


listen(_forget)


def access_of(user_id: int, device_ids: Collection[str]) -> dict[str, Access]:
    """The access of a user to those of `device_ids` that they may see, from the accounts database."""
    device_ids = [device_id for device_id in device_ids if is_device_id(device_id)]
    devices = Device.objects.filter(device_id__in=device_ids)
    found = {
        device_id: Access(OWNER, None, zone, _us(visible_from))
        for device_id, zone, visible_from in devices.filter(owner_id=user_id).values_list(
            "device_id", "timezone", "visible_from"
        )
    }
    grants = Grant.objects.active().filter(user_id=user_id, device__device_id__in=device_ids)
    rows = grants.values_list("device__device_id", "role", "expires_at", "device__timezone", "device__visible_from")
    for device_id, role, expires_at, zone, visible_from in rows:
        end = expires_at.timestamp() if expires_at else None
        found.setdefault(device_id, Access(role, end, zone, _us(visible_from)))
    return found


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else us_from_datetime(moment)


async def access_cached(user_id: int, device_ids: Collection[str]) -> dict[str, Access]:
    """`access_of` for the event loop, cached for ACCESS_CACHE_S and purged by access changes. Raises `Unavailable`."""
    known = {device_id: _cache.get((user_id, device_id)) for device_id in device_ids}
    unknown = [device_id for device_id, access in known.items() if access is None]
    if unknown:
        generation = _cache.generation
        asked = await accounts_ask(access_of, user_id, unknown)
        for device_id, access in asked.items():
            _cache.put((user_id, device_id), access, generation=generation)
        known.update(asked)
    return {device_id: access for device_id, access in known.items() if access is not None and not access.is_expired()}


async def access_require(user_id: int, device_ids: Collection[str]) -> Mapping[str, Access]:
    """The access to every one of `device_ids`. Raises `DeviceForbidden` if one is missing."""
    found = await access_cached(user_id, device_ids)
    missing = [device_id for device_id in device_ids if device_id not in found]
    if missing:
        raise DeviceForbidden().about(*missing)
    return found


def candidates_of(user_id: int) -> tuple[str, ...]:
    """The devices that the user may see, and those with an expired grant, by device id. `access_of` decides."""
    devices = Device.objects.filter(Q(owner_id=user_id) | Q(grants__user_id=user_id)).distinct()
    return tuple(
        sorted(devices.values_list("device_id", flat=True))
    )  # sorted here: each database has its own collation


async def visible_cached(user_id: int) -> list[str]:
    """Every device that the user may see, by device id; as recent as `access_cached`."""
    candidates = _candidates.get(user_id)
    if candidates is None:
        generation = _candidates.generation
        candidates = await accounts_ask(candidates_of, user_id)
        _candidates.put(user_id, candidates, generation=generation)
    found = await access_cached(user_id, candidates)
    return [device_id for device_id in candidates if device_id in found]


def accesses_still_valid(pairs: Collection[tuple[int, str]]) -> dict[tuple[int, str], float | None]:
    """The (user id, device id) pairs that still have access, and until when. Two queries for any number of pairs."""
    user_ids, device_ids = {user_id for user_id, _ in pairs}, {device_id for _, device_id in pairs}
    owned = Device.objects.filter(device_id__in=device_ids, owner_id__in=user_ids)
    granted = Grant.objects.active().filter(device__device_id__in=device_ids, user_id__in=user_ids)
    yes: dict[tuple[int, str], float | None] = {}
    for user_id, device_id, expires_at in granted.values_list("user_id", "device__device_id", "expires_at"):
        yes[user_id, device_id] = expires_at.timestamp() if expires_at else None
    for user_id, device_id in owned.values_list("owner_id", "device_id"):
        if user_id is not None:
            yes[user_id, device_id] = None
    return {pair: yes[pair] for pair in pairs if pair in yes}
