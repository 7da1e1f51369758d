"""Names both sides agree on: device ids, Redis channels and keys.

In a Redis Cluster the device id in a name is a hash tag, written in braces: `telemetry:ring:{ems_001}`. So the ring and
the channel of a device are on the same node, and what the writer says of the device arrives in the order it was said.
"""

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


def live_channel(device_id: str, *, is_cluster: bool = False) -> str:
    """Where a device's readings are published: by PUBLISH, in a cluster by SPUBLISH."""
    return LIVE_PREFIX + _tagged(device_id, is_cluster)


def ring_key(device_id: str, *, is_cluster: bool = False) -> str:
    return RING_PREFIX + _tagged(device_id, is_cluster)


def device_of(name: str) -> str:
    """The device id in the name of a ring or of a live channel."""
    return name.rpartition(":")[2].strip("{}")


def _tagged(device_id: str, is_cluster: bool) -> str:
    return f"{{{device_id}}}" if is_cluster else device_id
