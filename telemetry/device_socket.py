"""The close codes of a device's socket."""

from __future__ import annotations

from collections.abc import Mapping

CLOSE_TOO_LONG = 1009
CLOSE_RESTARTING = 1012
CLOSE_UNAUTHORIZED = 4401
CLOSE_SLOW = 4408

CLOSE_CODES: Mapping[int, str] = {
    CLOSE_TOO_LONG: "A message is longer than 64 KiB.",
    CLOSE_RESTARTING: "The writer restarts; reconnect.",
    CLOSE_UNAUTHORIZED: "The key is missing, invalid or of another device.",
    CLOSE_SLOW: "The device does not read the responses.",
}
