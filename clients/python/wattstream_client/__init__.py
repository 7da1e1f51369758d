"""An asyncio client of wattstream: history that flows into live, each reading once, across every reconnect."""

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
