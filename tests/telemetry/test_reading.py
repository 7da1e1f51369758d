"""The time of an encoded reading, read without decoding the rest."""

from __future__ import annotations

import pytest

from telemetry.catalogue import catalogue_load
from telemetry.reading import ReadingError, reading_decode, reading_time

CATALOGUE = catalogue_load()


@pytest.mark.parametrize(
    "payload",
    [
        b'{"device_id":"ems_001","time":"2026-11-23T10:00:00.000Z","solar_power":1.5}',
        b'{"device_id": "ems_001", "time": "2026-11-23T10:00:00.123456Z", "solar_power": null}',
        b'{"time" : "2026-11-23T11:00:00+01:00", "device_id": "ems_001"}',
        b'{"note":"{\\"time\\":\\"2001-01-01T00:00:00Z\\"}","device_id":"ems_001","time":"2026-11-23T10:00:00Z"}',
        b'{"meta":{"time":"2001-01-01T00:00:00Z"},"device_id":"ems_001","time":"2026-11-23T10:00:00Z"}',
        b'{"device_id":"ems_001","\\u0074ime":"2026-11-23T10:00:00Z"}',
        b' {"device_id":"ems_001","time":"2026\\u002d11-23T10:00:00Z"}',
    ],
)
def test_the_time_equals_that_of_the_decoded_reading(payload: bytes) -> None:
    assert reading_time(payload, CATALOGUE) == reading_decode(payload, CATALOGUE).us


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'{"device_id":"ems_001"}', b'{"time":"yesterday"}', b'{"time":"2026-11-23T10:00:00"}', b'{"time":1}'],
)
def test_a_payload_without_a_valid_time_is_rejected(payload: bytes) -> None:
    with pytest.raises(ReadingError):
        reading_time(payload, CATALOGUE)
