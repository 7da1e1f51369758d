"""Buckets of random readings, from rollup tiers and from raw rows, compared with a plain Python oracle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.catalogue import CATALOGUE
from history_app.planning.window import LADDER, Step, Window
from telemetry.catalogue import TIER_SECONDS
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us, us_from_iso
from testing.cast import Person, device_create
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import store
from tests.history_app.test_window import ZONES

BASE = us_from_iso("2025-10-20T00:00:00Z")  # the drawn windows contain a clock change
WIDTH = len(CATALOGUE.names)
numbers = st.none() | st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[tuple[int, tuple[float | None, ...]]], int, int, Step, str]:
    """Draw irregular readings with holes, and a window over all or part of them."""
    step = draw(st.sampled_from(LADDER[1:]))
    span_s = max(10.0, min(step.seconds * 40, 120 * 86_400))
    offsets = draw(st.lists(st.integers(0, int(span_s * SECOND_US)), max_size=60, unique=True))
    rows = [(BASE + offset, tuple(draw(numbers) for _ in range(2)) + (None,) * (WIDTH - 2)) for offset in offsets]
    start = BASE + draw(st.integers(-int(span_s / 4), int(span_s))) * SECOND_US
    end = start + draw(st.integers(1, int(span_s))) * SECOND_US
    return rows, start, end, step, draw(st.sampled_from(ZONES))


def oracle(rows: list[tuple[int, tuple[float | None, ...]]], low: int, high: int) -> dict[str, Any]:
    """Return one bucket, [low, high), of the first metric."""
    inside = [values[0] for us, values in rows if low <= us < high]
    present = [value for value in inside if value is not None]
    return {
        "readings": len(inside),
        "count": len(present),
        "avg": math.fsum(present) / len(present) if present else None,
        "min": min(present, default=None),
        "max": max(present, default=None),
    }


def is_close(found: float | None, expected: float | None, scale: float) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9 * scale)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=questions())
def test_every_bucket_matches_the_oracle(
    stack: Stack,
    alice: Person,
    raw_server: Process,
    question: tuple[list[tuple[int, tuple[float | None, ...]]], int, int, Step, str],
) -> None:
    rows, start, end, step, zone = question
    device_id = device_create(owner=alice)
    store(stack, [Reading(device_id, us, values) for us, values in rows])
    asked = {"start": iso_from_us(start), "end": iso_from_us(end), "resolution": step.name, "tz": zone,
             "agg": "avg,min,max,count", "metrics": CATALOGUE.names[0]}  # fmt: skip
    edges = Window(start, end, step, ZoneInfo(zone)).edges
    newest = max((us for us, _ in rows), default=None)
    for server_url, is_rolled in (
        (str(alice.http.base_url), step.seconds >= min(TIER_SECONDS.values())),
        (raw_server.url, False),
    ):
        answer = alice.http.get(f"{server_url}/api/history/{device_id}", params=asked)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["source"] != CATALOGUE.table) == is_rolled
        assert body["cursor"] == (None if newest is None else iso_from_us(newest))
        assert_buckets(body, rows, edges)


def assert_buckets(
    body: dict[str, Any], rows: list[tuple[int, tuple[float | None, ...]]], edges: Sequence[int]
) -> None:
    assert body["time"] == [edge // 1000 for edge in edges[:-1]]
    found = body["metrics"][CATALOGUE.names[0]]
    for index, (low, high) in enumerate(pairwise(edges)):
        expected = oracle(rows, low, high)
        scale = max((abs(values[0] or 0.0) for us, values in rows if low <= us < high), default=0.0)
        assert body["count"][index] == expected["readings"]
        assert found["count"][index] == expected["count"]
        for agg in ("avg", "min", "max"):
            assert is_close(found[agg][index], expected[agg], scale), (agg, index)
