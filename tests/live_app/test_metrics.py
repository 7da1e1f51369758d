"""Metrics of slow sockets."""

from __future__ import annotations

import asyncio

from live_app.metrics import metrics
from testing.waiting import wait_until_async
from tests.live_app.test_outlet import MAX_FRAMES, Reader


async def test_frames_queued_and_dropped_for_a_slow_socket_are_counted() -> None:
    reader, dropped, gaps, sent = Reader(), metrics.dropped, metrics.gaps, metrics.deliveries
    reader.offer(MAX_FRAMES + 5)
    assert (metrics.queued_frames, len(metrics.slow)) == (MAX_FRAMES, 1)
    assert metrics.dropped == dropped + 5
    frames = await reader.all_sent()
    assert metrics.gaps == gaps + 1 == gaps + len([frame for frame in frames if frame.get("type") == "gap"])
    assert metrics.deliveries == sent + MAX_FRAMES + 1
    await wait_until_async(lambda: asyncio.sleep(0, not metrics.slow), "nobody slow any more")


async def test_a_socket_that_ends_before_its_queue_starts_is_not_counted() -> None:
    reader = Reader()
    reader.offer(1)
    reader.outlet.close()
    await wait_until_async(lambda: asyncio.sleep(0, not metrics.slow), "nobody slow any more")
    assert metrics.queued_frames == 0
