"""Which tables hold the readings of a device, and how far back. Pure; times in µs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from history_app.planning.window import EARLIEST_US, LATEST_US
from telemetry.catalogue import Metric
from telemetry.tiers import Tier
from telemetry.times import SECOND_US


def length_us(tier: Tier) -> int:
    """The length of a tier's buckets."""
    return tier.seconds * SECOND_US


@dataclass(frozen=True, slots=True)
class KnownTier:
    """A rollup tier that exists and that the server may read, with the names of its columns."""

    tier: Tier
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sources:
    """The tables that hold the readings of one device.

    `tiers`: the rollup tiers, finest first. `floor`: raw readings are complete from here on. `oldest`: start of the
    oldest row of each tier, by table; None without a row. `period_s`: how often the device reports (median interval of
    its newest readings), None if that is unknown.
    """

    tiers: tuple[KnownTier, ...] = ()
    floor: int = EARLIEST_US
    oldest: Mapping[str, int | None] = field(default_factory=dict)
    period_s: float | None = None

    def usable(self, low: int, metrics: Sequence[Metric]) -> tuple[Tier, ...]:
        """The tiers that have these metrics and have lost nothing from `low` on, finest first.

        A tier loses rows only where raw readings are gone, so nothing is lost from the floor on.
        """
        return tuple(
            known.tier
            for known in self.tiers
            if (low >= self.floor or not self._has_aged_out(known.tier, low))
            and all(f"{metric.name}_count" in known.columns for metric in metrics)
        )

    def _has_aged_out(self, tier: Tier, low: int) -> bool:
        """Whether a coarser tier has a whole bucket at or after `low` that lies before the oldest row of `tier`."""
        oldest = self.oldest.get(tier.table)
        if oldest is None:
            oldest = LATEST_US
        if low >= oldest:
            return False
        coarser = [known.tier for known in self.tiers if known.tier.seconds > tier.seconds]
        starts = [(self.oldest.get(other.table), length_us(other)) for other in coarser]
        return any(start is not None and start + length <= oldest for start, length in starts)


RAW_ONLY = Sources()
