"""Validation: which readings are taken, and what the others are told."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.catalogue import catalogue_load
from telemetry.reading import Reading
from telemetry.times import SECOND_US, us_from_iso
from writer.validate import RefusedError, Validator

NOW_US = us_from_iso("2026-11-23T10:00:00Z")
CATALOGUE = catalogue_load()
VALIDATOR = Validator(CATALOGUE, max_future_s=300)
FLAT = {"device_id": "ems_001", "time": "2026-11-23T10:00:00Z", "load_power": 5}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def validate(item: object) -> Reading:
    return VALIDATOR.reading(item, now_us=NOW_US)


def values_of(reading: Reading) -> dict[str, float]:
    named = zip(CATALOGUE.names, reading.values, strict=True)
    return {name: value for name, value in named if value is not None}


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
    packet = {"device_id": "a", "timestamp": 1795132800000, "battery": {"soc": 5}, "grid": None}
    assert values_of(validate({**packet, "timestamp": "2026-11-23T10:00:00Z"})) == {"battery_soc": 5.0}


def test_ignores_unknown_keys() -> None:
    assert values_of(validate({**FLAT, "firmware": "1.2", "battery": {"colour": "red"}})) == {"load_power": 5.0}


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
    "time", [None, "", "yesterday", True, [], {}, float("nan"), float("inf"), "2026-13-01T00:00:00Z"]
)
def test_refuses_what_is_not_a_time(time: object) -> None:
    assert "epoch milliseconds" in refusal(time=time)


def test_refuses_a_time_too_far_ahead_and_takes_the_last_that_is_not() -> None:
    last = (NOW_US + 300 * SECOND_US) // 1000
    assert validate({**FLAT, "time": last}).us == last * 1000
    assert "300 s ahead of the clock" in refusal(time=last + 1)


@pytest.mark.parametrize("time", ["1999-12-31T23:59:59.999Z", 0, -1e300, "0001-01-01T00:00:00+14:00"])
def test_refuses_a_time_before_2000(time: object) -> None:
    assert "before 2000-01-01T00:00:00.000Z" in refusal(time=time)


@pytest.mark.parametrize("time", [1e300, "9999-12-31T23:59:59-14:00"])
def test_refuses_a_time_beyond_the_calendar(time: object) -> None:
    assert "ahead of the clock" in refusal(time=time)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("battery_soc", 100.1, "between 0 and 100"),
        ("battery_soc", -0.1, "between 0 and 100"),
        ("solar_power", -1, "at least 0"),
        ("load_power", float("nan"), "finite number or null"),
        ("load_power", float("inf"), "finite number or null"),
        ("load_power", "5", "finite number or null"),
        ("load_power", True, "finite number or null"),
        ("load_power", [1], "finite number or null"),
    ],
)
def test_a_refused_value_is_named_with_its_metric_and_what_is_accepted(name: str, value: object, accepted: str) -> None:
    reason = refusal(**{name: value})
    assert reason.startswith(f"{name}: {value!r} is not")
    assert accepted in reason


def test_a_refused_value_of_a_packet_is_named_by_its_path() -> None:
    assert refusal(battery={"soc": 101}) == "battery.soc: 101 is not between 0 and 100"


def test_a_group_that_is_not_an_object_is_refused() -> None:
    assert refusal(battery=5) == "battery: 5 is not an object of metrics"


def test_takes_the_bounds_themselves() -> None:
    assert values_of(validate({**FLAT, "battery_soc": 100, "solar_power": 0}))["battery_soc"] == 100


@pytest.mark.parametrize("device_id", [None, "", "a b", "x" * 65, 5, ["a"], "a/b"])
def test_refuses_what_is_not_a_device_id(device_id: object) -> None:
    assert refusal(device_id=device_id).startswith("device_id: ")


def test_refuses_a_reading_without_any_metric() -> None:
    assert "at least one" in refusal(load_power=None)


@pytest.mark.parametrize("item", [None, 5, "text", [FLAT]])
def test_refuses_what_is_not_an_object(item: object) -> None:
    with pytest.raises(RefusedError, match="JSON object"):
        validate(item)


def test_a_long_value_is_not_repeated_in_full() -> None:
    assert len(refusal(load_power="x" * 10_000)) < 200


@given(json_values, st.sampled_from(["device_id", "time", "load_power", "battery", "timestamp"]))
def test_anything_is_either_taken_or_refused(value: object, field: str) -> None:
    with suppress(RefusedError):
        validate({**FLAT, field: value})
