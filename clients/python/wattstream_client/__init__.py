"""An asyncio client for wattstream: history followed by live readings, each once, across reconnects."""

from wattstream_client.backoff import Backoff
from wattstream_client.client import WattstreamClient
from wattstream_client.errors import (
    Forbidden,
    NotAuthenticated,
    ProtocolViolation,
    RequestRefused,
    TooLarge,
    Unreachable,
    WattstreamError,
)
from wattstream_client.events import Event, Gap, Reading, Refused, Revoked, Unrecovered
from wattstream_client.history import History

__all__ = [
    "Backoff",
    "Event",
    "Forbidden",
    "Gap",
    "History",
    "NotAuthenticated",
    "ProtocolViolation",
    "Reading",
    "Refused",
    "RequestRefused",
    "Revoked",
    "TooLarge",
    "Unreachable",
    "Unrecovered",
    "WattstreamClient",
    "WattstreamError",
]
