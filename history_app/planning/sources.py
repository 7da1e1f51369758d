"""Which tables hold the readings of a device, and how far back. Pure; times in µs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from history_app.planning.window import EARLIEST_US
from telemetry.cadence import REACH_MIN_S
from telemetry.tiers import Tier


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
    its newest readings), None if that is unknown. `reach_s`: how far apart two of its readings may be to belong to one
    line of a chart.
    """

    tiers: tuple[KnownTier, ...] = ()
    floor: int = EARLIEST_US
    oldest: Mapping[str, int | None] = field(default_factory=dict)
    period_s: float | None = None
    reach_s: float = REACH_MIN_S


RAW_ONLY = Sources()
