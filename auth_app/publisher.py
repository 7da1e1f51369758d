"""Publishes access changes on Redis, for the other processes."""

from __future__ import annotations

import logging

from django.conf import settings

from auth_app.events import CHANNEL
from telemetry.redis import RedisError, redis_client_sync

logger = logging.getLogger(__name__)


def change_publish(payload: bytes) -> None:
    """Publish one change. While Redis is unavailable, the other processes read the change from the log."""
    try:
        redis_client_sync(settings.REDIS_URL).publish(CHANNEL, payload)
    except RedisError as error:
        logger.warning("access change not published, other processes follow within 5 s: %s", error)
