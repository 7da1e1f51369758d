"""After a transfer without history, no route shows readings of the former owner's time."""

from __future__ import annotations

import httpx
import pytest
from django.db import transaction

from auth_app.events import AccessChange, announce
from core.catalogue import CATALOGUE
from devices_app.models import Device
from telemetry.times import SECOND_US, datetime_from_us, iso_from_us, us_from_datetime
from testing.cast import Person, device_create, device_share
from testing.process import Process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at, store
from testing.waiting import wait_until

MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
METRIC = CATALOGUE.names[0]
OLD, NEW = 111.0, 222.0  # values of the former and of the new owner's time


@pytest.fixture
def bobs(bob: Person) -> str:
    """A device of bob's that never changed hands."""
    return device_create(owner=bob)


def accept(alice: Person, bob: Person, device: str, *, with_history: bool = False) -> int:
    """Transfer the device from alice to bob. Returns from when on bob sees readings (µs)."""
    body = {"username": bob.username, "with_history": with_history}
    transfer = alice.http.post(f"/api/devices/{device}/transfer", json=body).json()["id"]
    assert bob.http.post(f"/api/transfers/{transfer}/accept").status_code == 200
    visible_from = Device.objects.get(device_id=device).visible_from
    return us_from_datetime(visible_from) if visible_from else 0


@pytest.fixture
def moved(stack: Stack, alice: Person, bob: Person, device: str) -> int:
    """Alice's device is bob's since an hour and some minutes ago. Readings each minute for two hours on both sides."""
    since = accept(alice, bob, device)
    assert abs(since - now_us()) < 30 * SECOND_US
    since = now_us() - HOUR_US - 7 * MINUTE_US - 13 * SECOND_US
    with transaction.atomic():
        Device.objects.filter(device_id=device).update(visible_from=datetime_from_us(since))
        announce(AccessChange(devices=(device,)))
    before = [reading_at(device, since - minute * MINUTE_US, OLD) for minute in range(1, 121)]
    after = [reading_at(device, since + minute * MINUTE_US, NEW) for minute in range(60)]
    store(stack, [*before, *after])
    wait_until(lambda: shown(bob, device) == [NEW], "the server applies the moved time")
    return since


def history(person: Person, device: str, **parameters: str) -> httpx.Response:
    answer = person.http.get(f"/api/history/{device}", params={"metrics": METRIC, **parameters})
    assert answer.status_code == 200, answer.text
    return answer


def shown(person: Person, device: str) -> list[float]:
    """The different values that the raw history of four hours shows."""
    body = history(person, device, range="4h", resolution="raw").json()
    return sorted(set(body["metrics"][METRIC]["avg"]))


def test_raw_history_begins_with_the_acceptance(bob: Person, device: str, moved: int) -> None:
    body = history(bob, device, range="4h", resolution="raw").json()
    assert body["time"][0] == moved // 1000
    assert body["points"] == 60
    assert body["start"] == iso_from_us(moved)
    assert body["cursor"] == iso_from_us(moved + 59 * MINUTE_US)


@pytest.mark.parametrize("resolution", ["auto", "5m", "15m", "1h", "1d", "1mo"])
@pytest.mark.parametrize("fill", ["null", "none", "previous"])
def test_no_bucket_mixes_both_owners(bob: Person, device: str, moved: int, resolution: str, fill: str) -> None:
    body = history(bob, device, range="1y", resolution=resolution, fill=fill, agg="min,max,count").json()
    for at, low, high, count in zip(
        body["time"], *(body["metrics"][METRIC][agg] for agg in ("min", "max", "count")), strict=True
    ):
        if at < moved // 1000:
            assert (low, high, count) == (None, None, 0)
        else:
            assert {low, high} <= {NEW, None}
    if resolution in ("auto", "5m", "15m"):
        assert NEW in body["metrics"][METRIC]["max"]


@pytest.mark.parametrize("resolution", ["auto", "raw", "5m"])
def test_a_window_before_the_acceptance_is_empty(bob: Person, device: str, moved: int, resolution: str) -> None:
    body = history(
        bob, device, start=iso_from_us(moved - HOUR_US), end=iso_from_us(moved), resolution=resolution
    ).json()
    assert set(body["metrics"][METRIC]["avg"]) <= {None}
    assert sum(body["count"]) == 0


def test_an_etag_of_the_former_owner_is_not_current(alice: Person, bob: Person, device: str, stack: Stack) -> None:
    now = now_us()
    store(stack, [reading_at(device, now - HOUR_US, OLD)])
    window = {"start": iso_from_us(now - 2 * HOUR_US), "end": iso_from_us(now - MINUTE_US)}
    tag = history(alice, device, **window).headers["etag"]
    accept(alice, bob, device)
    answer = bob.http.get(
        f"/api/history/{device}", params={"metrics": METRIC, **window}, headers={"If-None-Match": tag}
    )
    assert answer.status_code == 200
    assert sum(answer.json()["count"]) == 0
    assert answer.json()["cursor"] is None


def test_a_query_of_several_devices_hides_it_per_device(
    stack: Stack, bob: Person, device: str, bobs: str, moved: int
) -> None:
    store(stack, [reading_at(bobs, moved - MINUTE_US, 5.0)])
    body = {"devices": [device, bobs], "metrics": [METRIC], "range": "4h", "resolution": "5m"}
    answer = bob.http.post("/api/history/query", json=body)
    assert answer.status_code == 200, answer.text
    ours, others = answer.json()["devices"]
    assert set(ours["metrics"][METRIC]["avg"]) == {NEW, None}
    assert 5.0 in others["metrics"][METRIC]["avg"]


@pytest.mark.parametrize("window", ["after", "before"])
def test_an_export_begins_with_the_acceptance(bob: Person, device: str, moved: int, window: str) -> None:
    end = moved + 2 * HOUR_US if window == "after" else moved
    span = {"start": iso_from_us(moved - 2 * HOUR_US), "end": iso_from_us(end)}
    answer = bob.http.get(f"/api/history/{device}/export", params={**span, "metrics": METRIC, "format": "csv"})
    assert answer.status_code == 200
    lines = answer.text.splitlines()[1:]
    assert len(lines) == (60 if window == "after" else 0)
    assert "111" not in answer.text.replace(device, "")


def test_latest_shows_no_earlier_reading(stack: Stack, alice: Person, bob: Person, device: str) -> None:
    publish(stack, [reading_at(device, now_us() - SECOND_US, OLD)])
    store(stack, [reading_at(device, now_us() - SECOND_US, OLD)])
    accept(alice, bob, device)
    (latest,) = bob.http.get("/api/latest").json()
    assert (latest["time"], latest["values"], latest["online"]) == (None, None, False)
    seen = bob.http.get(f"/api/devices/{device}").json()
    assert (seen["last_seen"], seen["online"]) == (None, False)
    publish(stack, [reading_at(device, now_us() + SECOND_US, NEW)])
    (latest,) = bob.http.get("/api/latest", params={"devices": device}).json()
    assert latest["values"][METRIC] == NEW


@pytest.mark.parametrize("period", ["15m", "hour", "day", "year"])
def test_energy_begins_with_the_acceptance(
    bob: Person, raw_server: Process, device: str, moved: int, period: str
) -> None:
    for base in ("", raw_server.url):
        answer = bob.http.get(f"{base}/api/energy/{device}", params={"period": period, "range": "4h"})
        assert answer.status_code == 200, answer.text
        total = answer.json()["total"]
        grid = CATALOGUE.names.index(CATALOGUE.by_role["grid"].name)
        hours = 1 - (-moved % (15 * MINUTE_US)) / HOUR_US
        expected = (NEW + grid) / 1000 * hours
        assert total["imported_kwh"] == pytest.approx(expected, abs=0.003 * (NEW + grid) / 111)
        assert total["peak_w"] == NEW + CATALOGUE.names.index(CATALOGUE.by_role["load"].name)
        past = {"start": iso_from_us(moved - 2 * HOUR_US), "end": iso_from_us(moved), "period": period}
        for one in bob.http.get(f"{base}/api/energy/{device}", params=past).json()["periods"]:
            assert one["imported_kwh"] is None or one["end"] > iso_from_us(moved)


def test_devices_together_hide_it_too(bob: Person, device: str, bobs: str, moved: int) -> None:
    params = {"devices": f"{device},{bobs}", "period": "hour", "range": "4h"}
    answer = bob.http.get("/api/energy", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"]["imported_kwh"] < 2 * NEW / 1000


@pytest.mark.parametrize("since", [None, "1970-01-01T00:00:00.000Z"])
def test_a_socket_starts_with_the_acceptance(
    server: Process, stack: Stack, alice: Person, bob: Person, device: str, since: str | None
) -> None:
    early = now_us() - MINUTE_US
    store(stack, [reading_at(device, early, OLD)])
    publish(stack, [reading_at(device, early, OLD)])
    accepted = accept(alice, bob, device)
    with LiveSocket(server.url, person=bob) as live:
        live.send(type="subscribe", id=1, devices=[device], since=since)
        live.until_type("subscribed")
        publish(stack, [reading_at(device, accepted - 1000, OLD), reading_at(device, now_us() + SECOND_US, NEW)])
        live.until_type("reading")
        assert all(us >= accepted for us in live.times(device))
        assert len(live.times(device)) == 1


def test_an_event_stream_starts_with_the_acceptance(
    stack: Stack, server: Process, alice: Person, bob: Person, device: str
) -> None:
    early = now_us() - MINUTE_US
    store(stack, [reading_at(device, early, OLD)])
    accepted = accept(alice, bob, device)  # µs; frames have ms
    accepted = -(-accepted // 1000) * 1000
    store(stack, [reading_at(device, accepted, NEW)])
    params = {"devices": device, "since": "1970-01-01T00:00:00.000Z"}
    text = ""
    with bob.http.stream("GET", "/api/stream", params=params) as answer:
        for chunk in answer.iter_text():
            text += chunk
            if iso_from_us(accepted) in text.partition('"backlog"')[2]:
                break
    assert iso_from_us(early) not in text


def test_viewers_of_the_new_owner_see_as_much(bob: Person, charlie: Person, device: str, moved: int) -> None:
    device_share(device, charlie)
    assert shown(charlie, device) == [NEW]


def test_with_history_the_new_owner_sees_everything(stack: Stack, alice: Person, bob: Person, device: str) -> None:
    store(stack, [reading_at(device, now_us() - HOUR_US, OLD)])
    assert accept(alice, bob, device, with_history=True) == 0
    assert shown(bob, device) == [OLD]


def test_a_released_device_shows_its_next_owner_no_past(alice: Person, device: str) -> None:
    assert alice.http.delete(f"/api/devices/{device}").status_code == 204
    assert Device.objects.get(device_id=device).visible_from is not None
