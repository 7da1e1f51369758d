"""Names both sides agree on: device ids, Redis channels and keys."""

from __future__ import annotations

import re

DEVICE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DEVICE_ID_RULE = "1 to 64 of A–Z a–z 0–9 _ . -"

LIVE_PREFIX = "telemetry:live:"
RING_PREFIX = "telemetry:ring:"
HEARTBEAT_CHANNEL = "telemetry:heartbeat"
HEARTBEAT_PERIOD_S = 1.0
# A device id, published before the first reading after which readings of that device may be missing in the stream.
BREAK_CHANNEL = "telemetry:break"
RING_LENGTH = 600
RING_FIELD = "reading"


def is_device_id(text: str) -> bool:
    return DEVICE_ID.fullmatch(text) is not None


def live_channel(device_id: str) -> str:
    return LIVE_PREFIX + device_id


def ring_key(device_id: str) -> str:
    return RING_PREFIX + device_id
