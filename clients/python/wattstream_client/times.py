"""Conversion between the API's times (ISO 8601) and integers (microseconds since the epoch), exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us_from_iso(text: str) -> int:
    """Microseconds of an ISO 8601 time with an offset. Raises ValueError."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def iso_from_us(us: int) -> str:
    """The UTC time with microseconds, in ISO 8601."""
    return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
