"""The response to a device: its readings that were accepted, refused, adjusted and ignored. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from telemetry.shown import SHOWN_CHARACTERS

# A body may hold a million unknown names. These are enough to find a spelling error.
MAX_IGNORED = 100


@dataclass(slots=True)
class Report:
    """Collects the entries of one response. An `index` counts the readings of the body from 0."""

    refused: list[dict[str, Any]] = field(default_factory=list)
    adjusted: list[dict[str, Any]] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)

    def refuse(self, index: int, reason: str) -> None:
        """The reading is not stored."""
        self.refused.append({"index": index, "reason": reason})

    def adjust(self, index: int, metric: str, reason: str) -> None:
        """The value of a metric is stored as null or clamped."""
        self.adjusted.append({"index": index, "metric": metric, "reason": reason})

    def ignore(self, name: str) -> None:
        """A name that is not in the catalogue; each is listed once, at most `MAX_IGNORED`, and long ones are cut."""
        if len(self.ignored) < MAX_IGNORED:
            self.ignored[printable(name)] = None

    def document(self, accepted: int) -> dict[str, Any]:
        """The response: the number of accepted readings, then `refused`, `adjusted` and `ignored`, each in order."""
        return {
            "accepted": accepted,
            "refused": self.refused,
            "adjusted": self.adjusted,
            "ignored": list(self.ignored),
        }


def printable(name: str) -> str:
    """A name of a device's choice, cut to `SHOWN_CHARACTERS` and encodable as UTF-8."""
    text = name if len(name) <= SHOWN_CHARACTERS else name[:SHOWN_CHARACTERS] + "…"
    return text.encode(errors="replace").decode()
