"""Constants of the live protocol, version 1: names, close codes, error codes. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

PROTOCOL = 1
SUBPROTOCOL = "wattstream.v1"
TICKET_PREFIX = "ticket."
# Keys of the ASGI scope's extensions, set by asgi_project/server: the transport of the socket, and what to await
# before a restart.
TRANSPORT_EXTENSION = "wattstream.transport"
DRAIN_EXTENSION = "wattstream.drain"

CLOSE_NORMAL = 1000
CLOSE_PROTOCOL_ERROR = 1002  # this and the next two come from the server's websocket layer (RFC 6455, 7.4.1)
CLOSE_NOT_UTF8 = 1007
CLOSE_TOO_LONG = 1009
CLOSE_INTERNAL = 1011
CLOSE_RESTARTING = 1012
CLOSE_MALFORMED = 4400
CLOSE_UNAUTHENTICATED = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_TOO_SLOW = 4408
CLOSE_TOO_MANY = 4429
# The meaning of each, and whether a client reconnects after it (with jittered back-off).
CLOSE_CODES: Mapping[int, tuple[str, bool]] = {
    CLOSE_NORMAL: ("Normal closure.", True),
    CLOSE_PROTOCOL_ERROR: ("Not a websocket frame.", False),
    CLOSE_NOT_UTF8: ("The text is not UTF-8.", False),
    CLOSE_TOO_LONG: ("The frame is longer than LIVE_FRAME_MAX_BYTES.", False),
    CLOSE_INTERNAL: ("The server failed to serve this socket.", True),
    CLOSE_RESTARTING: ("The server restarts; it has sent what was queued.", True),
    CLOSE_MALFORMED: ("Not a frame of this protocol.", False),
    CLOSE_UNAUTHENTICATED: ("Not, or no longer, authenticated.", False),
    CLOSE_FORBIDDEN: ("No access, or no longer, to the device in the URL.", False),
    CLOSE_TOO_SLOW: ("The client reads too slowly.", True),
    CLOSE_TOO_MANY: ("Too many sockets, frames or failed handshakes.", True),
}

ERROR_CODES = ("forbidden", "bad_request", "too_many")
INTERVAL_MAX_MS = 3_600_000
ID_MAX_CHARACTERS = 64

Cursor = int | None  # µs since the epoch; None: only new readings
RequestId = int | float | str | None
