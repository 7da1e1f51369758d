"""POST /ingest."""

from __future__ import annotations

import httpx
import pytest

from telemetry.times import SECOND_US, iso_from_us
from testing.process import Process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import Device, device_new, metric, reading, recent_us


@pytest.fixture
def device(device_of_writer: Device) -> Device:
    return device_of_writer


def wait_stored(device: Device, count: int) -> None:
    wait_until(lambda: len(device.stored()) >= count, f"{count} readings of {device.device_id} stored")


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert document["title"]
    assert document["detail"]


def test_stores_a_flat_reading(device: Device) -> None:
    us = recent_us()
    answer = device.post(reading(device.device_id, us, battery_soc=50.5, grid_power=-10))
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "refused": []})
    wait_stored(device, 1)
    row = device.stored()[us]
    assert {name: value for name, value in row.items() if value is not None} == {"battery_soc": 50.5, "grid_power": -10}


def test_stores_a_nested_packet(device: Device) -> None:
    us = recent_us()
    packet = {"device_id": device.device_id, "timestamp": us // 1000, "battery": {"soc": 40}, "solar": {"power": 7}}
    assert device.post(packet).json()["accepted"] == 1
    wait_stored(device, 1)
    assert (device.stored()[us]["battery_soc"], device.stored()[us]["solar_power"]) == (40, 7)


def test_the_same_reading_twice_is_one_row_and_the_first_stays(device: Device) -> None:
    us = recent_us()
    device.send(us, load_power=1.0)
    wait_stored(device, 1)
    device.send(us, load_power=2.0)
    device.send(us + SECOND_US)
    wait_stored(device, 2)
    assert len(device.stored()) == 2
    assert device.stored()[us]["load_power"] == 1.0


def test_the_same_reading_twice_in_one_list_is_one_row(device: Device) -> None:
    us = recent_us()
    answer = device.post([reading(device.device_id, us, load_power=float(value)) for value in range(5)])
    assert answer.json()["accepted"] == 5
    wait_stored(device, 1)
    assert device.stored()[us]["load_power"] == 0.0


def test_refuses_one_by_one_and_stores_the_rest(device: Device) -> None:
    us = recent_us()
    good = [reading(device.device_id, us + index * SECOND_US) for index in range(3)]
    bad = reading(device.device_id, us, battery_soc=101)
    answer = device.post([good[0], bad, good[1], 5, reading("somebody_else", us), good[2]])
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 3,
        "refused": [
            {"index": 1, "reason": "battery_soc: 101 is not between 0 and 100"},
            {"index": 3, "reason": "a reading is a JSON object and not 5"},
            {"index": 4, "reason": "device_id: 'somebody_else' is not the device that the key belongs to"},
        ],
    }
    wait_stored(device, 3)


def test_everything_refused_is_400_and_says_why(device: Device) -> None:
    answer = device.post([reading(device.device_id, recent_us(), battery_soc=-1)])
    assert_problem(answer, 400, "bad_request")
    assert answer.json()["refused"] == [{"index": 0, "reason": "battery_soc: -1 is not between 0 and 100"}]


def test_a_body_that_names_no_device_is_400_with_the_reason(device: Device) -> None:
    answer = device.post([{"time": iso_from_us(recent_us())}, {"device_id": ["x"]}, None])
    assert_problem(answer, 400, "bad_request")
    assert [refused["index"] for refused in answer.json()["refused"]] == [0, 1, 2]


def test_an_empty_list_is_accepted(device: Device) -> None:
    answer = device.post([])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "refused": []})


@pytest.mark.parametrize("body", [b"", b"{", b'{"device_id": NaN}', b"\xff"])
def test_malformed_json_is_400(device: Device, body: bytes) -> None:
    assert_problem(device.post(body), 400, "bad_request")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic abc", "Bearer wsd_wrong", "Bearer \xe9"])
def test_no_key_or_a_wrong_one_is_401(device: Device, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = device.post(reading(device.device_id, recent_us()), headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_key_of_another_device_is_401(device: Device, stack: Stack, writer: Process) -> None:
    other = device_new(stack, writer)
    assert_problem(other.post(reading(device.device_id, recent_us())), 401, "unauthorized")


def test_more_than_10000_readings_are_413(device: Device) -> None:
    one = reading(device.device_id, recent_us())
    assert device.post([one] * 10_000).json()["accepted"] == 10_000
    assert_problem(device.post([one] * 10_001), 413, "too_large")


def test_a_body_that_is_too_long_is_413_while_it_is_read(start_writer: StartWriter, stack: Stack) -> None:
    device = device_new(stack, start_writer(WRITER_MAX_BODY_BYTES="2000"))
    assert device.post(b"[" + b" " * 1900 + b"]").status_code == 200
    assert_problem(device.post(b"[" + b" " * 4_000_000 + b"]"), 413, "too_large")


def test_other_routes_and_methods_are_problems_too(device: Device) -> None:
    assert_problem(httpx.get(f"{device.writer.url}/nowhere"), 404, "not_found")
    wrong = httpx.get(f"{device.writer.url}/ingest")
    assert_problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


def test_counts_refusals_by_reason(device: Device) -> None:
    before = metric(device.writer, 'refused_total{reason="other_device"}')
    device.post([reading(device.device_id, recent_us()), reading("somebody_else", recent_us())])
    assert metric(device.writer, 'refused_total{reason="other_device"}') == before + 1
