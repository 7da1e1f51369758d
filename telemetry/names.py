"""Names that writer and readers share: device ids, Redis channels and keys.

In a Redis Cluster the device id in a name is a hash tag, written in braces: `telemetry:ring:{ems_001}`. So the ring and
the channel of a device are on one node, and the writer's commands for a device are executed in order.
"""

from __future__ import annotations

import re

DEVICE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DEVICE_ID_RULE = "1 to 64 of A–Z a–z 0–9 _ . -"

LIVE_PREFIX = "telemetry:live:"
RING_PREFIX = "telemetry:ring:"
HEARTBEAT_CHANNEL = "telemetry:heartbeat"
HEARTBEAT_PERIOD_S = 1.0
# The message is a device id: before the next reading, readings of this device may be missing in the stream.
BREAK_CHANNEL = "telemetry:break"
RING_LENGTH = 600
RING_FIELD = "reading"


def is_device_id(text: str) -> bool:
    return DEVICE_ID.fullmatch(text) is not None


def live_channel(device_id: str, *, is_cluster: bool = False) -> str:
    """The channel of a device's readings, for PUBLISH; in a cluster for SPUBLISH."""
    return LIVE_PREFIX + _tagged(device_id, is_cluster)


def ring_key(device_id: str, *, is_cluster: bool = False) -> str:
    return RING_PREFIX + _tagged(device_id, is_cluster)


def device_of(name: str) -> str:
    """The device id in the name of a ring or of a live channel."""
    return name.rpartition(":")[2].strip("{}")


def _tagged(device_id: str, is_cluster: bool) -> str:
    return f"{{{device_id}}}" if is_cluster else device_id
