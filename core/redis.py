"""The Redis client of the server: one per event loop."""

from __future__ import annotations

from django.conf import settings

from core.singletons import PerLoop
from telemetry.redis import AsyncRedis, redis_connect

# Every command fails within `telemetry.redis.COMMAND_TIMEOUT_S`; none is retried.
redis_client: PerLoop[AsyncRedis] = PerLoop(lambda: redis_connect(settings.REDIS_URL))
