"""The newest reading of each of several devices: from the rings, else from the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from core.catalogue import CATALOGUE
from core.errors import BadRequest, TooLarge, Unavailable
from core.parameters import require_known
from core.redis import redis_client
from history_app.parameters import DEVICES, LATEST
from history_app.ring import ring_newest
from history_app.sql.devices import fetch_latest
from history_app.store.pool import telemetry_run
from telemetry.reading import Reading
from telemetry.redis import RedisError
from telemetry.times import SECOND_US, iso_from_us

logger = logging.getLogger(__name__)


def devices_parse(parameters: Mapping[str, str]) -> list[str] | None:
    """The devices asked for, in that order, each once; None for all. Raises `BadRequest`."""
    require_known(parameters, LATEST)
    if "devices" not in parameters:
        return None
    device_ids = list(dict.fromkeys(device_id.strip() for device_id in parameters["devices"].split(",")))
    if "" in device_ids:
        raise BadRequest("devices: accepted is a comma-separated list of device ids; leave it out for all of yours.")
    return device_ids


def devices_limit(device_ids: Sequence[str]) -> None:
    """Raises `TooLarge` for more than LATEST_MAX_DEVICES."""
    if len(device_ids) > DEVICES.most:
        raise TooLarge(f"devices: {len(device_ids)} are more than {DEVICES.most}; name fewer at once.")


async def latest_read(device_ids: Sequence[str]) -> dict[str, Reading]:
    """The newest reading of each device; those without any are left out. Raises `Unavailable`.

    The database is asked about the devices whose ring is empty or holds nothing recent: after a device has sent what
    it kept over an outage, its ring may hold nothing but old readings. Where the database is away, an old reading from
    a ring is better than none; but none at all is not known then, and `Unavailable`.
    """
    found = await _from_rings(device_ids)
    recent = time.time_ns() // 1000 - settings.DEVICE_ONLINE_S * SECOND_US
    unsure = [device_id for device_id in device_ids if device_id not in found or found[device_id].us < recent]
    if not unsure:
        return found
    try:
        stored = await telemetry_run(lambda connection: fetch_latest(connection, unsure))
    except Unavailable:
        if any(device_id not in found for device_id in device_ids):
            raise
        return found
    for device_id, reading in stored.items():
        if device_id not in found or found[device_id].us < reading.us:
            found[device_id] = reading
    return found


async def _from_rings(device_ids: Sequence[str]) -> dict[str, Reading]:
    try:
        return await ring_newest(redis_client(), device_ids)
    except RedisError as error:
        logger.warning("the rings cannot be read, the database is asked: %s", error)
        return {}


def latest_document(device_ids: Sequence[str], found: Mapping[str, Reading]) -> list[dict[str, Any]]:
    """In the order of `device_ids`: `{device_id, time, age_s, online, values}`.

    `time` ISO 8601, `age_s` seconds (below zero where the device's clock is ahead of ours), `values` by metric name.
    A device that never reported has null for time, age and values, and is not online.
    """
    now = time.time_ns() // 1000
    return [_entry(device_id, found.get(device_id), now) for device_id in device_ids]


def _entry(device_id: str, reading: Reading | None, now: int) -> dict[str, Any]:
    if reading is None:
        return {"device_id": device_id, "time": None, "age_s": None, "online": False, "values": None}
    age_us = now - reading.us
    return {
        "device_id": device_id,
        "time": iso_from_us(reading.us),
        "age_s": round(age_us / SECOND_US, 3),
        "online": age_us <= settings.DEVICE_ONLINE_S * SECOND_US,
        "values": dict(zip(CATALOGUE.names, reading.values, strict=True)),
    }
