"""Times as integers: microseconds since 1970-01-01T00:00:00Z, which is exactly what PostgreSQL stores."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
# The longest ISO 8601 time with six digits and an offset has 35 characters.
MAX_TIME_CHARACTERS = 64
TIME_RULE = "ISO 8601, e.g. 2026-11-23T10:00:00Z, or epoch milliseconds"


def now_us() -> int:
    """The time of the clock."""
    return time.time_ns() // 1000


def us_from_datetime(moment: datetime) -> int:
    """Microseconds since the epoch of an aware `moment`, exact (no float on the way)."""
    return (moment - EPOCH) // MICROSECOND


# Times that a UTC datetime can hold. With an offset, a time of the years 1 or 9999 can lie outside.
EARLIEST_US = us_from_datetime(datetime.min.replace(tzinfo=UTC))
LATEST_US = us_from_datetime(datetime.max.replace(tzinfo=UTC))


def datetime_from_us(us: int) -> datetime:
    """The UTC datetime of `us`. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=us)


def iso_from_us(us: int) -> str:
    """`2026-11-23T10:00:00.000Z`: three decimals if that is exact, else six."""
    exact = "microseconds" if us % 1000 else "milliseconds"
    return datetime_from_us(us).isoformat(timespec=exact).removesuffix("+00:00") + "Z"


def us_from_iso(text: str) -> int:
    """Microseconds of an ISO 8601 time with an offset. Raises ValueError when malformed or without an offset."""
    return _us_from_iso(text, None)


def us_from_text(text: str, zone: tzinfo | None = UTC) -> int:
    """Microseconds of an ISO 8601 time, or of epoch milliseconds in at most 17 digits.

    A time without an offset is in `zone`; None: it is refused. Blanks around the time are ignored. Raises ValueError.
    """
    text = text.strip() if len(text) <= MAX_TIME_CHARACTERS else text
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdecimal():
        if len(digits) > 17:
            raise ValueError("epoch milliseconds have at most 17 digits")
        return int(text) * 1000
    return _us_from_iso(text, zone)


def _us_from_iso(text: str, zone: tzinfo | None) -> int:
    if len(text) > MAX_TIME_CHARACTERS:
        raise ValueError(f"a time has at most {MAX_TIME_CHARACTERS} characters")
    if text[10:11] == "T":
        text = text.replace(" ", "+", 1)  # an unescaped "+" in a query string arrives as a blank
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError(f"{text!r} has no offset; accepted is e.g. 2026-11-23T10:00:00Z")
        moment = moment.replace(tzinfo=zone)
    us = us_from_datetime(moment)
    if not EARLIEST_US <= us <= LATEST_US:
        raise ValueError(f"{text!r} is outside the years 1 to 9999")
    return us
