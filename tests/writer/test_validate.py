"""Validation: accepted, adjusted and refused readings, and the reasons."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.catalogue import catalogue_load
from telemetry.reading import Reading
from telemetry.times import SECOND_US, us_from_iso
from writer.report import MAX_IGNORED, Report
from writer.validate import RefusedError, Validator

NOW_US = us_from_iso("2026-11-23T10:00:00Z")
DAY_US = 86_400 * SECOND_US
CATALOGUE = catalogue_load()
VALIDATOR = Validator(CATALOGUE, max_future_s=300, max_past_s=400 * 86_400)
FLAT = {"device_id": "ems_001", "time": "2026-11-23T10:00:00Z", "load_power": 5}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def validate(item: object, report: Report | None = None) -> Reading:
    return VALIDATOR.reading(item, report or Report(), 0, device_id="ems_001", now_us=NOW_US)


def values_of(reading: Reading) -> dict[str, float]:
    named = zip(CATALOGUE.names, reading.values, strict=True)
    return {name: value for name, value in named if value is not None}


def adjusted(**changed: Any) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """Return the stored values, and metric and reason of each adjustment."""
    report = Report()
    values = values_of(validate({**FLAT, **changed}, report))
    return values, [(entry["metric"], entry["reason"]) for entry in report.adjusted]


def refusal(**changed: Any) -> str:
    with pytest.raises(RefusedError) as refused:
        validate({**FLAT, **changed})
    return str(refused.value)


def test_takes_a_flat_reading() -> None:
    reading = validate({**FLAT, "battery_soc": 55.5, "grid_power": -120, "solar_power": None})
    assert (reading.device_id, reading.us) == ("ems_001", NOW_US)
    assert values_of(reading) == {"load_power": 5.0, "battery_soc": 55.5, "grid_power": -120.0}


def test_takes_a_nested_packet() -> None:
    packet = {
        "device_id": "ems_001",
        "timestamp": "2026-11-23T10:00:00Z",
        "battery": {"voltage": 53.2, "current": -1.5, "power": -79.8, "soc": 60},
        "grid": {"voltage": 230, "power": 10, "frequency": 50.01},
        "solar": {"power": 0},
        "load": {"power": 89.8},
    }
    assert values_of(validate(packet)) == {
        "battery_voltage": 53.2,
        "battery_current": -1.5,
        "battery_power": -79.8,
        "battery_soc": 60.0,
        "grid_voltage": 230.0,
        "grid_power": 10.0,
        "grid_frequency": 50.01,
        "solar_power": 0.0,
        "load_power": 89.8,
    }


def test_a_packet_may_lack_groups_and_metrics() -> None:
    packet = {"device_id": "ems_001", "timestamp": 1795132800000, "battery": {"soc": 5}, "grid": None}
    assert values_of(validate({**packet, "timestamp": "2026-11-23T10:00:00Z"})) == {"battery_soc": 5.0}


def test_unknown_names_are_ignored_and_each_is_listed_once() -> None:
    report = Report()
    for _ in range(2):
        item = {**FLAT, "slar_power": 3, "battery": {"colour": "red", "soc": 5}, "wind": {"power": 1}}
        assert values_of(validate(item, report)) == {"load_power": 5.0, "battery_soc": 5.0}
    assert report.document(2)["ignored"] == ["slar_power", "battery.colour", "wind"]


def test_the_list_of_ignored_names_is_bounded() -> None:
    report = Report()
    validate({**FLAT, **{f"{number}{'x' * 1000}": 1 for number in range(1000)}}, report)
    assert len(report.ignored) == MAX_IGNORED
    assert max(map(len, report.ignored)) < 100


def test_a_flat_value_wins_over_the_same_metric_in_a_group() -> None:
    assert values_of(validate({**FLAT, "load": {"power": 7}}))["load_power"] == 5.0
    assert values_of(validate({**FLAT, "load_power": None, "load": {"power": 7}}))["load_power"] == 7.0


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-23T10:00:00Z",
        "2026-11-23T11:00:00+01:00",
        "2026-11-23T10:00:00",
        "2026-11-23 10:00:00.000",
        NOW_US // 1000,
        NOW_US / 1000,
    ],
)
def test_reads_times_with_offset_without_and_as_epoch_milliseconds(time: object) -> None:
    assert validate({**FLAT, "time": time}).us == NOW_US


def test_keeps_microseconds() -> None:
    assert validate({**FLAT, "time": "2026-11-23T10:00:00.123456Z"}).us == NOW_US + 123_456


@pytest.mark.parametrize(
    "time",
    [
        None,
        "",
        "yesterday",
        True,
        [],
        {},
        float("nan"),
        float("inf"),
        "2026-13-01T00:00:00Z",
        "1" * 10_000,
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_refuses_an_invalid_time(time: object) -> None:
    assert "epoch milliseconds" in refusal(time=time)


def test_the_limit_of_future_times_is_inclusive() -> None:
    last = (NOW_US + 300 * SECOND_US) // 1000
    assert validate({**FLAT, "time": last}).us == last * 1000
    assert "300 s ahead of the clock" in refusal(time=last + 1)


def test_the_limit_of_past_times_is_inclusive() -> None:
    first = (NOW_US - 400 * DAY_US) // 1000
    assert validate({**FLAT, "time": first}).us == first * 1000
    assert "34560000 s behind the clock" in refusal(time=first - 1)
    assert "import" in refusal(time=first - 1)


@pytest.mark.parametrize("time", ["1999-12-31T23:59:59.999Z", 0])
def test_refuses_a_time_of_long_ago(time: object) -> None:
    assert "behind the clock" in refusal(time=time)


@pytest.mark.parametrize("time", [1e300, -1e300, 10**400, -(10**400)], ids=["1e300", "-1e300", "10^400", "-10^400"])
def test_refuses_a_time_beyond_the_calendar(time: object) -> None:
    reason = refusal(time=time)
    assert "epoch milliseconds" in reason
    assert len(reason) < 200


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("grid_power", 1e307, "1e+307 is not between -1000000 and 1000000; stored as null"),
        ("grid_power", 10**400, "a number of too many digits is not between -1000000 and 1000000; stored as null"),
        ("battery_soc", 101.1, "101.1 is not between 0 and 100; stored as null"),
        ("solar_power", -51, "-51 is not between 0 and 1000000; stored as null"),
        ("grid_power", float("nan"), "nan is not a finite number; stored as null"),
        ("grid_power", float("inf"), "inf is not a finite number; stored as null"),
        ("grid_power", float("-inf"), "-inf is not a finite number; stored as null"),
        ("grid_power", "5", "'5' is not a finite number; stored as null"),
        ("grid_power", True, "true is not a finite number; stored as null"),
        ("grid_power", [1], "a list is not a finite number; stored as null"),
        ("grid_power", {"a": 1}, "an object is not a finite number; stored as null"),
    ],
)
def test_an_invalid_value_becomes_null_and_is_listed(name: str, value: object, reason: str) -> None:
    assert adjusted(**{name: value}) == ({"load_power": 5.0}, [(name, reason)])


@pytest.mark.parametrize(
    ("name", "value", "stored", "reason"),
    [
        ("solar_power", -3, 0.0, "-3 is beyond 0 by at most 50; stored as 0"),
        ("battery_soc", 100.4, 100.0, "100.4 is beyond 100 by at most 1; stored as 100"),
        ("battery_soc", -1, 0.0, "-1 is beyond 0 by at most 1; stored as 0"),
    ],
)
def test_a_value_within_tolerance_is_clamped_and_listed(name: str, value: float, stored: float, reason: str) -> None:
    assert adjusted(**{name: value}) == ({"load_power": 5.0, name: stored}, [(name, reason)])


def test_an_invalid_value_of_a_packet_is_listed_with_its_metric() -> None:
    values, listed = adjusted(battery={"soc": 150, "voltage": 50})
    assert values == {"load_power": 5.0, "battery_voltage": 50.0}
    assert listed == [("battery_soc", "150 is not between 0 and 100; stored as null")]


def test_a_group_that_is_not_an_object_is_listed() -> None:
    assert adjusted(battery=5) == ({"load_power": 5.0}, [("battery", "5 is not an object of metrics")])


def test_a_metric_without_bounds_accepts_summable_doubles() -> None:
    free = replace(CATALOGUE, metrics=(replace(CATALOGUE.metrics[0], minimum=None, maximum=None),))
    validator = Validator(free, max_future_s=0, max_past_s=DAY_US)
    report = Report()
    item = {**FLAT, "battery_voltage": 1e15}
    assert validator.reading(item, report, 0, device_id="ems_001", now_us=NOW_US).values == (1e15,)
    with pytest.raises(RefusedError):
        validator.reading({**item, "battery_voltage": 1.1e15}, report, 0, device_id="ems_001", now_us=NOW_US)


def test_bounds_are_inclusive() -> None:
    assert values_of(validate({**FLAT, "battery_soc": 100, "solar_power": 0}))["battery_soc"] == 100


@pytest.mark.parametrize("device_id", [None, "", "a b", "x" * 65, 5, ["a"], "a/b"])
def test_refuses_an_invalid_device_id(device_id: object) -> None:
    assert refusal(device_id=device_id).startswith("device_id: ")
    assert "1 to 64" in refusal(device_id=device_id)


def test_refuses_the_device_of_another_key() -> None:
    assert refusal(device_id="ems_002") == "device_id: 'ems_002' is not the device that the key belongs to"


@pytest.mark.parametrize("value", [None, 1e307, "x"])
def test_refuses_a_reading_without_any_valid_value(value: object) -> None:
    assert "no metric with a valid value is left" in refusal(load_power=value)


@pytest.mark.parametrize("item", [None, 5, "text", [FLAT]])
def test_refuses_values_other_than_objects(item: object) -> None:
    with pytest.raises(RefusedError, match="JSON object"):
        validate(item)


@pytest.mark.parametrize("field", ["device_id", "time", "solar_power"])
def test_a_long_value_is_not_repeated_in_full(field: str) -> None:
    report = Report()
    for value in ("x" * 10_000, [["x"] * 100] * 100):
        with suppress(RefusedError):
            validate({**FLAT, field: value}, report)
            assert len(report.adjusted[-1]["reason"]) < 200
            continue
        assert len(refusal(**{field: value})) < 200


names = st.sampled_from(["device_id", "time", "load_power", "battery", "timestamp"]) | st.text()


@given(st.dictionaries(names, json_values, max_size=5))
def test_any_object_is_accepted_or_refused_and_the_response_is_json(changed: dict[str, object]) -> None:
    report = Report()
    with suppress(RefusedError):
        reading = validate({**FLAT, **changed}, report)
        assert all(value is None or -1e6 <= value <= 1e6 for value in reading.values)
    orjson.dumps(report.document(1))
