"""What the writer answers on a device's socket, and why it closes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLOSE_TOO_LONG = 1009
CLOSE_RESTARTING = 1012
CLOSE_UNAUTHORIZED = 4401
CLOSE_SLOW = 4408

CLOSE_CODES: Mapping[int, str] = {
    CLOSE_TOO_LONG: "A message is longer than a reading can be.",
    CLOSE_RESTARTING: "The writer ends or restarts; come back.",
    CLOSE_UNAUTHORIZED: "The key is missing or not that of the device.",
    CLOSE_SLOW: "Answers are not read.",
}
ACCEPTED: Mapping[str, Any] = {
    "type": "object",
    "properties": {"accepted": {"const": 1}},
    "required": ["accepted"],
}
REFUSED: Mapping[str, Any] = {
    "type": "object",
    "properties": {"refused": {"type": "string", "description": "Names the field, its value and what is accepted."}},
    "required": ["refused"],
}
