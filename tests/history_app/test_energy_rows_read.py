"""The number of rows that an energy answer reads, counted by EXPLAIN: independent of machine and load."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from core.catalogue import CATALOGUE
from devices_app.access import OWNER, Access
from history_app.energy import fetch
from history_app.energy.answer import energy_read
from history_app.energy.question import energy_parse
from history_app.sql import devices
from history_app.store.pool import pool_close
from telemetry.energy_tiers import ENERGY_TIERS
from telemetry.times import SECOND_US
from testing.rollup import roll_up_async
from testing.stack import Stack
from testing.telemetry import now_us, reading_at, store
from tests.history_app.test_rows_read import DAY_US, Asked, rows_read

METRICS = sum(1 for metric in CATALOGUE.metrics if metric.role)
QUARTER_S = 900


async def statements_of(monkeypatch: pytest.MonkeyPatch, device_id: str, **parameters: str) -> list[Asked]:
    asked: list[Asked] = []
    fetch_each = devices.fetch_each

    async def remember(connection: Any, device_ids: Any, text: bytes, given: dict[str, Any]) -> Any:
        asked.append((text, {**given, "device": device_id}))
        return await fetch_each(connection, device_ids, text, given)

    monkeypatch.setattr(fetch, "fetch_each", remember)
    try:
        await energy_read([device_id], await energy_parse(parameters, {device_id: Access(OWNER, None, "UTC")}))
    finally:
        monkeypatch.undo()
        await pool_close()
    return asked


@pytest.mark.parametrize(
    ("parameters", "buckets"),
    [
        ({"range": "24h", "period": "hour"}, 24 + 4),
        ({"range": "31d", "period": "day"}, 31 + 24 + 4),
        ({"range": "31d", "period": "day", "tz": "Europe/Berlin"}, 32 * 25 + 4),
        ({"range": "12mo", "period": "month"}, 366 + 31 + 24 + 4),
        ({"range": "12mo", "period": "month", "tz": "Asia/Kathmandu"}, 366 + 31 + 13 * (24 + 8)),
    ],
)
async def test_the_raw_part_is_the_current_quarter(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str], buckets: int
) -> None:
    """A reading per second up to now, and before that one every 20 days, rolled up."""
    device_id = f"rows_{secrets.token_hex(3)}"
    now = now_us()
    readings = [reading_at(device_id, now - second * SECOND_US) for second in range(2 * 3_600)]
    # The changes of a statement are due together: those of the current minute are not due yet.
    store(stack, readings[60:])
    store(stack, readings[:60])
    store(stack, [reading_at(device_id, now - day * DAY_US) for day in range(20, 400, 20)])
    await roll_up_async(stack)
    (asked,) = await statements_of(monkeypatch, device_id, **parameters)
    counts = rows_read(stack, asked)
    assert counts[CATALOGUE.table] <= QUARTER_S + 60, counts
    before = 3
    tiers = sum(counts.get(f"{CATALOGUE.table}_{tier.suffix}", 0) for tier in ENERGY_TIERS)
    assert tiers <= METRICS * (buckets + before), counts
