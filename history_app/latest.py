"""The newest reading of each of several devices: from the rings, else from the database."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from core.catalogue import CATALOGUE
from core.errors import BadRequest, TooLarge, Unavailable
from core.redis import redis_client
from devices_app.access import Access
from history_app.parameters import DEVICES
from history_app.sql.latest import fetch_latest
from history_app.store.pool import telemetry_run
from telemetry.cadence import READINGS_FOR_REACH, is_online
from telemetry.reading import Reading
from telemetry.redis import RedisError
from telemetry.ring import ring_newest
from telemetry.times import SECOND_US, iso_from_us

# Of each device its newest readings, newest first.
Newest = dict[str, list[Reading]]
logger = logging.getLogger(__name__)


def devices_parse(parameters: Mapping[str, str]) -> list[str] | None:
    """The requested devices in their order, each once; None for all. Raises `BadRequest`."""
    if "devices" not in parameters:
        return None
    device_ids = list(dict.fromkeys(device_id.strip() for device_id in parameters["devices"].split(",")))
    if "" in device_ids:
        raise BadRequest("devices: accepted is a comma-separated list of device ids; leave it out for all of yours.")
    return device_ids


def devices_limit(device_ids: Sequence[str], most: int = DEVICES.most) -> None:
    """Raises `TooLarge` for more than `most` devices; the default is LATEST_MAX_DEVICES."""
    if len(device_ids) > most:
        raise TooLarge(f"devices: {len(device_ids)} are more than {most}; name fewer at once.")


async def latest_read(device_ids: Sequence[str], access: Mapping[str, Access], now: int) -> Newest:
    """The newest visible readings of each device at `now` (µs), newest first; devices without any are left out.

    Readings ahead of `now` count only for a device that has no others. The database is asked about the devices that
    are not online by their ring: after an outage, a ring may hold nothing but late readings. While the database is
    unavailable, an old reading from a ring counts; for a device without one, `Unavailable` is raised.
    """
    found = await _from_rings(device_ids)
    unsure = [device_id for device_id in device_ids if not _is_online(found.get(device_id, ()), now)]
    if unsure:
        try:
            stored = await telemetry_run(lambda connection: fetch_latest(connection, unsure, now))
        except Unavailable:
            if any(device_id not in found for device_id in device_ids):
                raise
            stored = {}
        for device_id, readings in stored.items():
            by_time = {reading.us: reading for reading in (*readings, *found.get(device_id, ()))}
            found[device_id] = [by_time[us] for us in sorted(by_time, reverse=True)]
    visible = {device_id: _visible(readings, access[device_id].since) for device_id, readings in found.items()}
    return {device_id: _not_ahead(readings, now) for device_id, readings in visible.items()}


def latest_document(device_ids: Sequence[str], found: Newest, now: int) -> list[dict[str, Any]]:
    """In the order of `device_ids`: `{device_id, time, age_s, online, values}`.

    `time` ISO 8601, `age_s` seconds (negative for a device that has only readings ahead of our clock), `values` by
    metric name. A device that never reported has null for time, age and values, and is not online.
    """
    return [_entry(device_id, found.get(device_id, []), now) for device_id in device_ids]


async def _from_rings(device_ids: Sequence[str]) -> Newest:
    try:
        return await ring_newest(redis_client(), device_ids, CATALOGUE)
    except RedisError as error:
        logger.warning("the rings cannot be read, the database is asked: %s", error)
        return {}


def _visible(readings: list[Reading], since: int | None) -> list[Reading]:
    return readings if since is None else [reading for reading in readings if reading.us >= since]


def _not_ahead(readings: list[Reading], now: int) -> list[Reading]:
    return [reading for reading in readings if reading.us <= now] or readings


def _is_online(readings: Sequence[Reading], now: int) -> bool:
    return is_online([reading.us for reading in readings], now, minimum_s=settings.DEVICE_ONLINE_S)


def _entry(device_id: str, newest: Sequence[Reading], now: int) -> dict[str, Any]:
    if not newest:
        return {"device_id": device_id, "time": None, "age_s": None, "online": False, "values": None}
    reading = newest[0]
    return {
        "device_id": device_id,
        "time": iso_from_us(reading.us),
        "age_s": round((now - reading.us) / SECOND_US, 3),
        "online": _is_online(newest[:READINGS_FOR_REACH], now),
        "values": dict(zip(CATALOGUE.names, reading.values, strict=True)),
    }
