"""POST /ingest."""

from __future__ import annotations

import json
import socket
import time

import httpx
import orjson
import pytest

from telemetry.times import SECOND_US, iso_from_us
from testing.contract import validator
from testing.process import Process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import Device, accepted, device_new, metric, reading, recent_us


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
    assert (answer.status_code, answer.json()) == (200, accepted())
    wait_stored(device, 1)
    row = device.stored()[us]
    assert {name: value for name, value in row.items() if value is not None} == {"battery_soc": 50.5, "grid_power": -10}


def test_stores_a_nested_packet(device: Device) -> None:
    us = recent_us()
    packet = {"device_id": device.device_id, "timestamp": us // 1000, "battery": {"soc": 40}, "solar": {"power": 7}}
    assert device.post(packet).json()["accepted"] == 1
    wait_stored(device, 1)
    assert (device.stored()[us]["battery_soc"], device.stored()[us]["solar_power"]) == (40, 7)


def test_invalid_readings_are_refused_and_the_rest_is_stored(device: Device) -> None:
    us = recent_us()
    good = [reading(device.device_id, us + index * SECOND_US) for index in range(3)]
    bad = reading(device.device_id, us, battery_soc=150)
    answer = device.post([good[0], bad, good[1], 5, reading("somebody_else", us), good[2]])
    assert answer.status_code == 200
    assert answer.json() == accepted(
        3,
        refused=[
            {"index": 1, "reason": "no metric with a valid value is left; at least one is needed"},
            {"index": 3, "reason": "a reading is a JSON object, not 5"},
            {"index": 4, "reason": "device_id: 'somebody_else' is not the device that the key belongs to"},
        ],
        adjusted=[
            {"index": 1, "metric": "battery_soc", "reason": "150 is not between 0 and 100; stored as null"},
        ],
    )
    wait_stored(device, 3)


def test_an_implausible_value_is_adjusted_and_listed(device: Device) -> None:
    us = recent_us()
    answer = device.post(reading(device.device_id, us, grid_power=1e307, load_power=5))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [entry["metric"] for entry in answer.json()["adjusted"]] == ["grid_power"]
    wait_stored(device, 1)
    assert (device.stored()[us]["grid_power"], device.stored()[us]["load_power"]) == (None, 5)


def test_values_within_the_tolerance_are_clamped_and_the_rest_is_stored(device: Device) -> None:
    us = recent_us()
    answer = device.post(reading(device.device_id, us, solar_power=-3, grid_power=412, battery_soc=100.4))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [entry["metric"] for entry in answer.json()["adjusted"]] == ["solar_power", "battery_soc"]
    wait_stored(device, 1)
    row = {name: value for name, value in device.stored()[us].items() if value is not None}
    assert row == {"solar_power": 0, "grid_power": 412, "battery_soc": 100}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 400, "-" + "1" * 5000])
def test_python_number_literals_affect_only_their_value(device: Device, literal: str) -> None:
    us = recent_us()
    texts = [json.dumps(reading(device.device_id, us + index * SECOND_US, grid_power=100)) for index in range(3)]
    texts[1] = texts[1].replace("100}", f'{literal}, "load_power": 7}}')
    answer = device.post(f"[{','.join(texts)}]".encode())
    assert (answer.status_code, answer.json()["accepted"]) == (200, 3)
    ((adjusted),) = answer.json()["adjusted"]
    assert (adjusted["index"], adjusted["metric"]) == (1, "grid_power")
    wait_stored(device, 3)
    stored = list(device.stored().values())
    assert [row["grid_power"] for row in stored] == [100, None, 100]
    assert stored[1]["load_power"] == 7


def test_names_that_are_not_in_the_catalogue_are_listed_once(device: Device) -> None:
    us = recent_us()
    sent = [{**reading(device.device_id, us + index), "solar_power": 100, "slar_power": 3} for index in range(3)]
    assert device.post(sent).json() == accepted(3, ignored=["slar_power"])


def test_invalid_unicode_affects_only_its_reading(device: Device) -> None:
    body = json.dumps({**reading(device.device_id, recent_us()), "a\ud800": "\ud800"}).encode()
    answer = device.post(body)
    assert (answer.status_code, answer.json()) == (200, accepted(ignored=["a?"]))


def test_times_too_far_ahead_or_behind_are_refused(device: Device) -> None:
    now = time.time()
    times = [now + 290, now + 310, now - 399 * 86_400, now - 401 * 86_400]
    sent = [{**reading(device.device_id, 0), "time": at * 1000} for at in times]
    answer = device.post(sent)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    ahead, behind = answer.json()["refused"]
    assert (ahead["index"], "ahead of the clock" in ahead["reason"]) == (1, True)
    assert (behind["index"], "behind the clock" in behind["reason"]) == (3, True)


def test_a_request_with_only_refused_readings_is_400_with_reasons(device: Device) -> None:
    answer = device.post([reading(device.device_id, recent_us(), battery_soc=-50)])
    assert_problem(answer, 400, "bad_request")
    document = answer.json()
    assert (document["accepted"], document["ignored"]) == (0, [])
    assert document["refused"] == [
        {"index": 0, "reason": "no metric with a valid value is left; at least one is needed"}
    ]
    assert [entry["metric"] for entry in document["adjusted"]] == ["battery_soc"]


def test_a_body_that_names_no_device_is_400_with_the_reason(device: Device) -> None:
    answer = device.post([{"time": iso_from_us(recent_us())}, {"device_id": ["x"]}, None])
    assert_problem(answer, 400, "bad_request")
    assert [refused["index"] for refused in answer.json()["refused"]] == [0, 1, 2]


def test_an_empty_list_is_accepted(device: Device) -> None:
    answer = device.post([])
    assert (answer.status_code, answer.json()) == (200, accepted(0))


@pytest.mark.parametrize("body", [b"", b"{", b'{"device_id": NaN', b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_malformed_json_is_400(device: Device, body: bytes) -> None:
    assert_problem(device.post(body), 400, "bad_request")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic abc", "Bearer wsd_wrong", "Bearer \xe9"])
def test_a_missing_or_wrong_key_is_401(device: Device, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = device.post(reading(device.device_id, recent_us()), headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_key_is_checked_before_the_body_is_read(device: Device) -> None:
    url = device.writer.url.removeprefix("http://").split(":")
    with socket.create_connection((url[0], int(url[1])), timeout=20) as raw:
        raw.sendall(b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nAuthorization: Bearer no\r\n\r\n")
        assert raw.recv(64).startswith(b"HTTP/1.1 401")


def test_the_key_of_another_device_stores_nothing(device: Device, stack: Stack, writer: Process) -> None:
    other = device_new(stack, writer)
    answer = other.post(reading(device.device_id, recent_us()))
    assert_problem(answer, 400, "bad_request")
    assert "not the device that the key belongs to" in answer.json()["refused"][0]["reason"]


def test_more_than_10000_readings_are_413(device: Device) -> None:
    one = reading(device.device_id, recent_us())
    assert device.post([one] * 10_000).json()["accepted"] == 10_000
    assert_problem(device.post([one] * 10_001), 413, "too_large")


def test_a_body_that_is_too_long_is_413_while_it_is_read(start_writer: StartWriter, stack: Stack) -> None:
    device = device_new(stack, start_writer(WRITER_MAX_BODY_BYTES="2000"))
    assert device.post(b"[" + b" " * 1900 + b"]").status_code == 200
    assert_problem(device.post(b"[" + b" " * 4_000_000 + b"]"), 413, "too_large")


def test_other_routes_and_methods_get_problem_documents(device: Device) -> None:
    assert_problem(httpx.get(f"{device.writer.url}/nowhere"), 404, "not_found")
    wrong = httpx.get(f"{device.writer.url}/ingest")
    assert_problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


def test_counts_refusals_by_reason(device: Device) -> None:
    before = metric(device.writer, 'refused_total{reason="other_device"}')
    device.post([reading(device.device_id, recent_us()), reading("somebody_else", recent_us())])
    assert metric(device.writer, 'refused_total{reason="other_device"}') == before + 1


def test_the_writer_describes_ingest_as_the_server_does(device: Device, server: Process) -> None:
    of_writer = httpx.get(f"{device.writer.url}/openapi.json", timeout=30).json()
    of_server = httpx.get(f"{server.url}/api/schema", timeout=30).json()
    assert list(of_writer["paths"]) == ["/ingest"]
    described = of_writer["paths"]["/ingest"]["post"]
    assert {name: described[name] for name in of_server["paths"]["/ingest"]["post"]} == of_server["paths"]["/ingest"][
        "post"
    ]
    for kind in ("schemas", "securitySchemes"):
        own = of_writer["components"][kind]
        assert own == {name: of_server["components"][kind][name] for name in own}


def test_responses_match_their_description(device: Device) -> None:
    document = httpx.get(f"{device.writer.url}/openapi.json", timeout=30).json()
    report = validator(orjson.dumps(document["components"]["schemas"]["IngestReport"]))
    us = recent_us()
    sent = [{**reading(device.device_id, us, solar_power=-3), "slar": 1}, 5]
    assert list(report.iter_errors(device.post(sent).json())) == []
