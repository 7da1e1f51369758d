"""The two channel layers of channels-redis with their default settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer


def _host(url: str) -> dict[str, Any]:
    # redis-py 8 has a default timeout of 5 s, which breaks both layers on a quiet socket.
    return {"address": url, "socket_timeout": None}


LAYERS: dict[str, Callable[[str], Any]] = {
    "channels": lambda url: RedisChannelLayer(hosts=[_host(url)]),
    "channels-pubsub": lambda url: RedisPubSubChannelLayer(hosts=[_host(url)]),
}
