"""The number of rows that a response reads, counted by EXPLAIN: independent of machine and load."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from core.catalogue import CATALOGUE
from devices_app.access import OWNER, Access
from history_app.answer import history_read
from history_app.planning.window import STEPS, Window
from history_app.question import question_parse
from history_app.sql import buckets, devices
from history_app.store.pool import pool_close
from history_app.store.sources import sources_forget
from telemetry.times import SECOND_US, us_from_datetime
from testing.rollup import roll_up, roll_up_async
from testing.stack import Stack
from testing.telemetry import now_us, reading_at, store

END = us_from_datetime(datetime.fromisoformat("2024-03-05T10:20:00+00:00"))
DAYS = 40
DAY_US = 86_400 * SECOND_US
Asked = tuple[bytes, dict[str, Any]]


@pytest.fixture(scope="module")
def dense(stack: Stack) -> Iterator[str]:
    """A device with a reading every five minutes for forty days, and a neighbour with as many.

    The last hour has one reading per second, for steps below five minutes.
    """
    device_id = f"dense_{secrets.token_hex(3)}"
    for name in (device_id, device_id + "_next"):
        hour = END - END % (3_600 * SECOND_US)
        store(stack, [reading_at(name, hour - second * SECOND_US) for second in range(3_600)])
        begin = END - DAYS * DAY_US + 500_000
        store(stack, [reading_at(name, begin + at * SECOND_US) for at in range(0, DAYS * 86_400, 300)])
    roll_up(stack)
    with stack.admin() as connection:
        connection.execute("ANALYZE")
    yield device_id
    with stack.admin() as connection:
        connection.execute("DELETE FROM energy_data WHERE device_id LIKE %s", [device_id + "%"])


async def statements_of(
    monkeypatch: pytest.MonkeyPatch, device_id: str, **parameters: str
) -> tuple[list[Asked], Window]:
    """Return the statements that answer a request from tiers, and the window of the response."""
    asked: list[Asked] = []
    fetch_each = devices.fetch_each

    async def remember(connection: Any, device_ids: Any, text: bytes, given: dict[str, Any]) -> Any:
        asked.append((text, {**given, "device": device_id}))
        return await fetch_each(connection, device_ids, text, given)

    sources_forget()
    monkeypatch.setattr(buckets, "fetch_each", remember)
    try:
        history = await history_read(device_id, question_parse(parameters, {device_id: Access(OWNER, None, "UTC")}))
    finally:
        monkeypatch.undo()
        await pool_close()
    return asked, history.window


def rows_read(stack: Stack, asked: Asked) -> dict[str, int]:
    """Return the rows that the scans read, by table, including filtered rows. A chunk counts as its hypertable."""
    with psycopg.connect(stack.env["TELEMETRY_URL"], autocommit=True, connect_timeout=5) as reader:
        # A chunk with a few readings of other tests would be scanned as a whole.
        reader.execute("SET enable_seqscan = off")
        row = reader.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + asked[0], asked[1]).fetchone()
    assert row is not None
    counts: dict[str, int] = {}
    for node in _nodes(row[0][0]["Plan"]):
        if "Relation Name" in node and node["Node Type"] != "Custom Scan":  # ChunkAppend: its chunks count
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            name = str(node["Relation Name"])
            table = CATALOGUE.table if name.startswith("_hyper") else name
            counts[table] = counts.get(table, 0) + int((node["Actual Rows"] + removed) * node["Actual Loops"])
    return counts


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    ("step", "window_s", "whole_hours", "others"),
    [
        ("30s", 3_000, 1, 1),
        ("1m", 3_000, 1, 1),
        ("5m", 3_000, 1, 1),
        ("15m", 3_000, 1, 1),
        ("30m", DAYS * 86_400, 2, 2),
        ("1h", 30 * 86_400, 1, 4),
        # Two tiers: the coarser one answers the inside of a bucket, the finer one its two ends.
        ("3h", 30 * 86_400, 3, 6),
        ("6h", 30 * 86_400, 6, 9),
        ("12h", 30 * 86_400, 12, 15),
        # UTC days are single rows; other days consist of hours.
        ("1d", 30 * 86_400, 24, 27),
        ("1w", 28 * 86_400, 31, 35),
    ],
)
async def test_rows_read_for_a_bucket(
    stack: Stack, dense: str, monkeypatch: pytest.MonkeyPatch, step: str, window_s: int, whole_hours: int, others: int,
    zone: str,
) -> None:  # fmt: skip
    end = END - END % (3_600 * SECOND_US)
    (asked,), window = await statements_of(
        monkeypatch, dense, resolution=step, tz=zone, start=str((end - window_s * SECOND_US) // 1000),
        end=str(end // 1000),
    )  # fmt: skip
    most = whole_hours if zone in ("UTC", "Europe/Berlin") else others
    if zone == "UTC":
        most = {"1d": 1, "1w": 7}.get(step, most)
    # In addition to the buckets: the newest reading, and the finer rows at the last edge.
    counts = rows_read(stack, asked)
    # The change log is scanned per partition: how many rows of other devices it holds depends on other tests.
    read = sum(count for table, count in counts.items() if "_changes" not in table)
    assert read <= most * (len(window.edges) - 1) + 9, counts


async def test_a_closed_window_reads_no_raw_reading(stack: Stack, dense: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for asked_range in ("24h", "7d", "30d"):
        (asked,), _ = await statements_of(monkeypatch, dense, range=asked_range, end=str(END // 1000))
        assert rows_read(stack, asked).get(CATALOGUE.table, 0) == 0


@pytest.mark.parametrize("asked_range", ["6h", "24h", "7d", "30d", "90d", "1y"])
async def test_the_raw_part_of_a_view_is_bounded(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, asked_range: str
) -> None:
    """One reading per second up to now, rolled up: at most the open minute is read raw."""
    device_id = f"steady_{secrets.token_hex(3)}"
    now = now_us()
    readings = [reading_at(device_id, now - second * SECOND_US) for second in range(2 * 3_600)]
    store(stack, readings[60:])
    store(stack, readings[:60])
    await roll_up_async(stack)
    (asked,), _ = await statements_of(monkeypatch, device_id, range=asked_range)
    counts = rows_read(stack, asked)
    assert counts[CATALOGUE.table] <= 150 + 1, counts
    del counts[CATALOGUE.table]
    assert sum(counts.values()) <= 720 + 23 + 4 + 3 + 5 + 2 + 60


async def test_without_the_rollup_each_raw_reading_is_read_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    device_id = f"raw_{secrets.token_hex(3)}"
    store(stack, [reading_at(device_id, END - second * SECOND_US) for second in range(600)])
    asked, _ = await statements_of(monkeypatch, device_id, range="24h", end=str(END // 1000 + 1))
    assert rows_read(stack, asked[-1])[CATALOGUE.table] <= 600 + 1


def test_the_zones_have_the_assumed_offsets() -> None:
    lengths = {zone: Window(END - DAY_US, END, STEPS["1h"], ZoneInfo(zone)).low % (3_600 * SECOND_US) // SECOND_US
               for zone in ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu")}  # fmt: skip
    assert lengths == {"UTC": 0, "Europe/Berlin": 0, "Asia/Kolkata": 1_800, "Asia/Kathmandu": 900}
