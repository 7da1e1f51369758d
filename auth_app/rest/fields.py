"""Serializer fields that do not coerce: text is text, a time is ISO 8601 or epoch milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework import serializers

from telemetry.times import EPOCH, datetime_from_us, us_from_text


class TextField(serializers.CharField):
    """A string. Numbers and booleans are refused."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class PasswordField(TextField):
    """A password, exactly as typed. At most 256 characters: longer ones would take long to hash."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=256, trim_whitespace=False, write_only=True, **kwargs)


class TimeField(serializers.Field[datetime, Any, str, Any]):
    """In: ISO 8601 (UTC where it has no offset) or epoch milliseconds. Out: `2026-11-23T10:00:00.000Z`."""

    default_error_messages = {"invalid": "Accepted are ISO 8601, e.g. 2026-11-23T10:00:00Z, and epoch milliseconds."}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return _moment(data)
        except (TypeError, ValueError, OverflowError):
            self.fail("invalid")

    def to_representation(self, value: datetime) -> str:
        return iso_ms(value)


def _moment(data: object) -> datetime:
    if isinstance(data, str):
        return datetime_from_us(us_from_text(data))
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        return EPOCH + timedelta(milliseconds=data)
    raise TypeError(f"{data!r} is neither text nor a number")


def iso_ms(moment: datetime) -> str:
    """ISO 8601 in UTC with `Z` and milliseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
