"""Every response equals the oracle at every state of the rollup: absent, behind, half done, done, and after changes."""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from core.catalogue import CATALOGUE
from history_app.answer import histories_read, history_read
from history_app.history import History
from history_app.planning.window import STEPS
from history_app.question import Question
from history_app.store.pool import pool_close
from history_app.store.sources import sources_forget
from rollup.engine import Engine
from telemetry.ddl import table_of
from telemetry.times import SECOND_US, datetime_from_us, us_from_iso
from testing.history_oracle import Values, assert_history_is_exact
from testing.stack import Stack

METRICS = CATALOGUE.metrics[:2]
AGGS = ("avg", "min", "max", "count")
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Havana", "Australia/Lord_Howe")
DAY_S = 86_400
# across the change to summer time of two of the zones
PAST = us_from_iso("2024-03-08T21:00:00Z")
_numbers = itertools.count()


@dataclass
class Installation:
    """A device in the real database, the oracle's copy of its readings, and a rollup engine."""

    stack: Stack
    runner: asyncio.Runner
    device_id: str = field(default_factory=lambda: f"rule_{next(_numbers)}_{secrets.token_hex(4)}")
    readings: dict[int, Values] = field(default_factory=dict)

    def merge(self, changes: dict[int, Values]) -> None:
        """Store or correct readings."""
        columns = [sql.Identifier(metric.column) for metric in METRICS]
        statement = sql.SQL(
            "INSERT INTO {table} ({time}, {device}, {columns}) SELECT t, %s, a, b"
            " FROM unnest(%s::timestamptz[], %s::float8[], %s::float8[]) AS r (t, a, b)"
            " ON CONFLICT ({device}, {time}) DO UPDATE SET {set}"
        ).format(
            table=table_of(CATALOGUE),
            time=sql.Identifier(CATALOGUE.time),
            device=sql.Identifier(CATALOGUE.device),
            columns=sql.SQL(", ").join(columns),
            set=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in columns),
        )
        rows = list(changes.items())
        parameters = [
            self.device_id,
            [datetime_from_us(us) for us, _ in rows],
            *([v[n] for _, v in rows] for n in (0, 1)),
        ]
        with self.stack.admin() as connection:
            connection.execute(statement, parameters)
        self.readings |= changes

    def delete(self, times: list[int]) -> None:
        statement = sql.SQL("DELETE FROM {} WHERE {} = %s AND {} = ANY(%s)").format(
            table_of(CATALOGUE), sql.Identifier(CATALOGUE.device), sql.Identifier(CATALOGUE.time)
        )
        with self.stack.admin() as connection:
            connection.execute(statement, [self.device_id, [datetime_from_us(us) for us in times]])
        for us in times:
            del self.readings[us]

    def roll_up(self, slices: int | None = None) -> None:
        """Roll up all due work, or this many slices of it. A slice is one day of the device."""
        self.runner.run(self._roll_up(slices))

    async def _roll_up(self, slices: int | None) -> None:
        engine = Engine(CATALOGUE, settle_s=0, statement_timeout_s=60)
        connection = await engine.connect(self.stack.env["TELEMETRY_ADMIN_URL"])
        try:
            if slices is None:
                while await engine.round(connection):
                    pass
                return
            await engine._watch_chunks(connection)
            due, quarter, *_ = await engine._plan(connection)
            for part in [part for part in due if self.device_id in part.devices][:slices]:
                await engine._work(connection, part, quarter, wait=True)
        finally:
            await connection.close()

    def read(self, start: int, end: int, step: str, zone: str = "UTC") -> History:
        now = time.time_ns() // 1000
        question = Question(start, end, now, ZoneInfo(zone), METRICS, AGGS, step, 720, "none")
        return self.runner.run(history_read(self.device_id, question))

    def check(self, start: int, end: int, step: str, zone: str = "UTC") -> History:
        history = self.read(start, end, step, zone)
        assert_history_is_exact(self.readings, history)
        return history


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made
        made.run(pool_close())
        sources_forget()


@pytest.fixture
def installation(stack: Stack, runner: asyncio.Runner) -> Installation:
    return Installation(stack, runner)


VALUES = st.one_of(
    st.none(), st.sampled_from([math.nan, math.inf, -math.inf, 1e300, 0.0]), st.floats(-1e6, 1e6, width=32)
)
READINGS: st.SearchStrategy[dict[int, Values]] = st.dictionaries(
    # Bursts, and readings on the edges of buckets.
    st.one_of(
        st.integers(0, 3 * DAY_S * 1000).map(lambda ms: PAST + ms * 1000),
        st.integers(0, 3 * DAY_S // 30).map(lambda part: PAST + part * 30 * SECOND_US),
        st.integers(0, 300).map(lambda second: PAST + DAY_S * SECOND_US + second * SECOND_US),
    ),
    st.tuples(VALUES, VALUES),
    min_size=1,
    max_size=40,
)
SPANS = st.tuples(
    st.integers(-3_600, 3 * DAY_S), st.sampled_from([600, 3_600, 6 * 3_600, DAY_S, 3 * DAY_S, 40 * DAY_S])
)
QUESTIONS = st.lists(
    st.tuples(SPANS, st.sampled_from([name for name in STEPS if name not in ("1s", "5s")]), st.sampled_from(ZONES)),
    min_size=1,
    max_size=3,
)
ACTIONS = st.lists(st.sampled_from(["merge", "correct", "delete", "slice", "roll"]), min_size=2, max_size=7)


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # each example uses a new device: shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), readings=READINGS, actions=ACTIONS)
def test_every_response_is_exact_at_every_state_of_the_rollup(
    stack: Stack, runner: asyncio.Runner, data: st.DataObject, readings: dict[int, Values], actions: list[str]
) -> None:
    found = Installation(stack, runner)
    found.merge(readings)
    for action in ["nothing", *actions]:
        if action == "merge":
            found.merge(data.draw(READINGS))
        elif action == "correct" and found.readings:
            us = data.draw(st.sampled_from(sorted(found.readings)))
            found.merge({us: data.draw(st.tuples(VALUES, VALUES))})
        elif action == "delete" and found.readings:
            found.delete(data.draw(st.lists(st.sampled_from(sorted(found.readings)), min_size=1, unique=True)))
        elif action == "slice":
            found.roll_up(1)
        elif action == "roll":
            found.roll_up()
        for (offset, length), step, zone in data.draw(QUESTIONS):
            start = PAST + offset * SECOND_US
            seconds = min(length, int(5_000 * STEPS[step].seconds)) or length
            found.check(start, start + seconds * SECOND_US, step, zone)


@pytest.mark.parametrize("step", ["raw", "5s", "30s", "1m", "5m", "15m", "1h", "1d"])
def test_the_present_is_exact_while_the_rollup_follows(installation: Installation, step: str) -> None:
    """Readings up to now: the tiers do not contain the open minute and the open quarter of an hour yet."""
    now = time.time_ns() // 1000
    installation.merge({now - second * SECOND_US: (float(second), None) for second in range(1, 5_000, 7)})
    installation.check(now - 3_600 * SECOND_US, now, step)
    installation.roll_up()
    installation.check(now - 3_600 * SECOND_US, now, step)
    installation.merge({now - 4_000 * SECOND_US - 1: (1e6, 1.0), now + 200 * SECOND_US: (5.0, 5.0)})
    installation.check(now - 7_200 * SECOND_US, now, step)
    installation.check(now - 7_200 * SECOND_US, now - 3_600 * SECOND_US, step)


def test_the_newest_reading_is_found_in_the_tiers_and_in_the_log(installation: Installation) -> None:
    hour = 3_600 * SECOND_US
    installation.merge({PAST: (1.0, 2.0), PAST + hour: (3.0, 4.0)})
    now = time.time_ns() // 1000
    installation.check(now - 24 * hour, now, "5m")
    installation.roll_up()
    assert installation.check(now - 24 * hour, now, "5m").columns.newest == PAST + hour
    installation.delete([PAST + hour])
    assert installation.check(now - 24 * hour, now, "5m").columns.newest == PAST
    installation.roll_up()
    assert installation.check(now - 24 * hour, now, "5m").columns.newest == PAST


def test_several_devices_are_read_by_one_rule(stack: Stack, runner: asyncio.Runner) -> None:
    first, second, empty = (Installation(stack, runner) for _ in range(3))
    first.merge({PAST + part * 97 * SECOND_US: (float(part), None) for part in range(500)})
    first.roll_up()
    second.merge({PAST + part * 61 * SECOND_US: (None, float(part)) for part in range(500)})
    first.merge({PAST + 4_000 * SECOND_US: (9.0, 9.0)})
    now = time.time_ns() // 1000
    question = Question(PAST, PAST + DAY_S * SECOND_US, now, ZoneInfo("UTC"), METRICS, AGGS, "15m", 720, "none")
    found = runner.run(histories_read([first.device_id, empty.device_id, second.device_id], question))
    for installation, history in zip((first, empty, second), found, strict=True):
        assert_history_is_exact(installation.readings, history)
