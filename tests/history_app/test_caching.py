"""ETag, 304 and single flight of GET /api/history/{device_id}."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from core.public import etag_matches
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.stack import Stack
from testing.telemetry import now_us, reading_at, readings_each_second, store, waiting_queries
from testing.waiting import wait_until
from tests.history_app.test_history import MINUTE_US, us

START = us("2026-06-15T12:00:00Z")
CLOSED = {"start": iso_from_us(START), "end": iso_from_us(START + 10 * MINUTE_US), "resolution": "1m"}


def get(person: Person, device_id: str, tag: str | None = None, **parameters: Any) -> httpx.Response:
    headers = {} if tag is None else {"If-None-Match": tag}
    return person.http.get(f"/api/history/{device_id}", params=parameters, headers=headers)


def test_a_matching_etag_gets_304(stack: Stack, alice: Person, device: str) -> None:
    store(stack, readings_each_second(device, START, 100))
    first = get(alice, device, **CLOSED)
    tag = first.headers["etag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = get(alice, device, known, **CLOSED)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == "private, no-cache"
        assert not {"content-type", "content-length"} & set(again.headers)
    for unknown in ('"other"', "nonsense", ""):
        again = get(alice, device, unknown, **CLOSED)
        assert (again.status_code, again.content) == (200, first.content)


def test_a_late_reading_changes_the_tag(stack: Stack, alice: Person, device: str) -> None:
    store(stack, [reading_at(device, START), reading_at(device, START + 9 * MINUTE_US)])
    tag = get(alice, device, **CLOSED).headers["etag"]
    store(stack, [reading_at(device, START + 5 * MINUTE_US)])
    later = get(alice, device, tag, **CLOSED)
    assert later.status_code == 200
    assert later.headers["etag"] != tag


def test_a_corrected_value_changes_the_tag(stack: Stack, alice: Person, device: str) -> None:
    store(stack, [reading_at(device, START), reading_at(device, START + 9 * MINUTE_US)])
    tag = get(alice, device, **CLOSED).headers["etag"]
    with stack.admin() as connection:
        connection.execute(
            "UPDATE energy_data SET solar_power = 1e3 WHERE device_id = %s AND solar_power < 1e3", [device]
        )
    assert get(alice, device, tag, **CLOSED).status_code == 200


def test_readings_beyond_a_closed_window_do_not_change_its_tag(stack: Stack, alice: Person, device: str) -> None:
    empty = get(alice, device, **CLOSED).headers["etag"]
    store(stack, [reading_at(device, START)])
    tag = get(alice, device, **CLOSED).headers["etag"]
    assert tag != empty
    store(stack, [reading_at(device, START + 20 * MINUTE_US)])
    assert get(alice, device, tag, **CLOSED).status_code == 304
    assert get(alice, device, **CLOSED).json()["cursor"] == iso_from_us(START + 20 * MINUTE_US)


def test_a_new_reading_changes_the_tag_of_a_window_that_reaches_the_present(
    stack: Stack, alice: Person, device: str
) -> None:
    now = now_us()
    asked = {"start": iso_from_us(now - 10 * MINUTE_US), "end": iso_from_us(now + 60 * MINUTE_US), "resolution": "1h"}
    store(stack, [reading_at(device, now - SECOND_US)])
    tag = get(alice, device, **asked).headers["etag"]
    assert get(alice, device, tag, **asked).status_code == 304
    store(stack, [reading_at(device, now)])
    assert get(alice, device, tag, **asked).status_code == 200


def test_other_representations_have_other_tags(alice: Person, device: str) -> None:
    tags = {get(alice, device, **CLOSED, **more).headers["etag"] for more in ({}, {"format": "csv"}, {"agg": "max"})}
    assert len(tags) == 3
    csv = get(alice, device, **CLOSED, format="csv")
    assert get(alice, device, csv.headers["etag"], **CLOSED, format="csv").status_code == 304


def test_a_304_requires_access(alice: Person, charlie: Person, device: str) -> None:
    tag = get(alice, device, **CLOSED).headers["etag"]
    assert get(charlie, device, tag, **CLOSED).status_code == 403


@pytest.mark.parametrize(
    ("header", "known"),
    [('W/"a"', True), ('"a"', True), ('"b", W/"a"', True), ("*", True), ('W/"b"', False), ("a", False), ("", False)],
)
def test_if_none_match(header: str, known: bool) -> None:
    assert etag_matches(header, 'W/"a"') is known


def test_identical_concurrent_requests_share_one_query(stack: Stack, alice: Person, device: str) -> None:
    """The table is locked, so that the first query still runs when the other requests arrive."""

    assert get(alice, device, range="10m").status_code == 200
    with ThreadPoolExecutor(5) as threads:
        with stack.admin() as locker, locker.transaction():
            locker.execute("LOCK TABLE energy_data IN ACCESS EXCLUSIVE MODE")
            same = [threads.submit(get, alice, device, range="10m") for _ in range(4)]
            wait_until(lambda: waiting_queries(stack), "the shared query is waiting")
            other = threads.submit(get, alice, device, range="11m")
            wait_until(lambda: waiting_queries(stack) == 2, "the other query is waiting")
        answers = [answer.result(30) for answer in same]
        assert other.result(30).status_code == 200
    assert {answer.status_code for answer in answers} == {200}
    # The window ends at the current microsecond: only a shared response can be identical.
    assert len({answer.json()["start"] for answer in answers}) == 1


def test_a_304_runs_no_query(stack: Stack, alice: Person, device: str) -> None:
    """The raw table that this response is made of is locked: a query would wait and end in a 503."""
    store(stack, readings_each_second(device, START, 600))
    asked = {**CLOSED, "resolution": "5s"}
    tag = get(alice, device, **asked).headers["etag"]
    with stack.admin() as locker, locker.transaction():
        locker.execute("LOCK TABLE energy_data IN ACCESS EXCLUSIVE MODE")
        assert get(alice, device, tag, **asked).status_code == 304


def test_any_change_invalidates_the_tag(stack: Stack, alice: Person, device: str) -> None:
    """Changes a window in each possible way, after a 304 without a query."""
    store(stack, readings_each_second(device, START, 100))
    changes = [
        "INSERT INTO energy_data (time, device_id, solar_power) VALUES (%(time)s, %(device)s, 5)",
        "UPDATE energy_data SET solar_power = 6 WHERE device_id = %(device)s AND time = %(time)s",
        "DELETE FROM energy_data WHERE device_id = %(device)s AND time = %(time)s",
    ]
    time = iso_from_us(START + 9 * MINUTE_US)
    for change in changes:
        tag = get(alice, device, **CLOSED).headers["etag"]
        assert get(alice, device, tag, **CLOSED).status_code == 304
        with stack.admin() as connection:
            connection.execute(change, {"time": time, "device": device})
        assert get(alice, device, tag, **CLOSED).status_code == 200
