"""The heartbeat."""

from __future__ import annotations

from typing import Any

import orjson

from telemetry.names import HEARTBEAT_CHANNEL
from telemetry.times import us_from_iso
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import recent_us


def test_beats_with_the_time_the_writer_and_its_counts(redis_client: Any, start_writer: StartWriter) -> None:
    start_writer()
    beats: dict[str, list[dict[str, Any]]] = {}

    def beaten_thrice() -> bool:
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)
        if message:
            beat = orjson.loads(message["data"])
            beats.setdefault(beat["writer"], []).append(beat)
        return any(len(of_one) >= 3 for of_one in beats.values())

    with redis_client.pubsub() as pubsub:
        pubsub.subscribe(HEARTBEAT_CHANNEL)
        wait_until(beaten_thrice, "three heartbeats of one writer")
    of_one = max(beats.values(), key=len)
    times = [us_from_iso(beat["time"]) for beat in of_one]
    assert times == sorted(set(times))
    assert times[0] > recent_us()
    assert all(set(beat) == {"time", "writer", "stored", "queued", "rollup_lag_s"} for beat in of_one)


def test_the_heartbeat_resumes_after_a_redis_outage(stack: Stack, redis_client: Any, start_writer: StartWriter) -> None:
    proxy, url = stack.redis_proxy()
    writer = start_writer(REDIS_URL=url)
    proxy.cut()
    wait_until(lambda: "no heartbeat" in writer.log.read_text(), "the writer noticed")
    accepted = proxy.connections_accepted
    proxy.restore()
    wait_until(lambda: proxy.connections_accepted > accepted, "the heartbeat connected again")
