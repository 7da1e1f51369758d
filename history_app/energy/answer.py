"""Answers energy questions: calendar periods → raw or tier → one statement → kWh. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from core.catalogue import CATALOGUE
from core.errors import TooLarge
from core.parameters import require_known
from history_app.answer import TIER_IS_GONE, question_parse
from history_app.energy.readings import fetch_periods
from history_app.energy.rules import PeriodSums, sums_document, sums_total
from history_app.energy.tiers import fetch_tier_periods, tier_for
from history_app.parameters import ENERGY, PERIOD, PERIODS
from history_app.planning.window import DAY_S, Window, floor
from history_app.query_metrics import query
from history_app.store.pool import Connection, telemetry_run
from history_app.store.sources import sources_forget, sources_of
from telemetry.times import SECOND_US


@dataclass(frozen=True, slots=True)
class EnergyQuestion:
    """The periods asked for: those that [start, end) touches, by the calendar of `zone`."""

    period: str
    window: Window
    now: int

    @property
    def zone(self) -> ZoneInfo:
        return self.window.zone


@dataclass(frozen=True, slots=True)
class Energy:
    """An answer: the sums of each period, oldest first, and the table they come from."""

    device_id: str
    question: EnergyQuestion
    source: str
    periods: Sequence[PeriodSums]


def energy_parse(parameters: Mapping[str, str], *, default_zone: str) -> EnergyQuestion:
    """Check the parameters. Without `start` and `range` it is the one period that `end` (or the present) falls in.

    Raises `BadRequest` naming the first that cannot be used, and `TooLarge` for more than ENERGY_MAX_PERIODS.
    """
    require_known(parameters, ENERGY)
    period = PERIOD.parse(parameters.get("period"))
    question = question_parse(parameters, default_zone=default_zone)
    step, start = PERIODS[period], question.start
    if "start" not in parameters and "range" not in parameters:
        start = floor(question.end - 1, step, question.zone)
    if (question.end - start) / SECOND_US > settings.ENERGY_MAX_PERIODS * step.seconds:
        raise TooLarge(f"period: this would be more than {settings.ENERGY_MAX_PERIODS} of them; take a longer one.")
    return EnergyQuestion(period, Window(start, question.end, step, question.zone), question.now)


async def energy_read(device_id: str, question: EnergyQuestion) -> Energy:
    """The sums of each period: from raw readings, or from the tier of a minute where there is too much of them or they
    have aged out. Raises `Unavailable`."""

    async def work(connection: Connection) -> Energy:
        try:
            return await _read(connection, device_id, question)
        except TIER_IS_GONE:
            sources_forget()
            return await _read(connection, device_id, question)

    return await telemetry_run(work)


async def _read(connection: Connection, device_id: str, question: EnergyQuestion) -> Energy:
    edges, hold = question.window.edges, settings.ENERGY_MAX_HOLD_S
    sources = await sources_of(connection, device_id)
    is_short = edges[-1] - edges[0] <= settings.ENERGY_RAW_MAX_DAYS * DAY_S * SECOND_US
    tier = None
    if not is_short or sources.has_aged_out(sources.raw, edges[0]):
        tier = tier_for(sources, edges, hold)
    if tier is None:
        with query("energy"):
            periods = await fetch_periods(connection, device_id, edges, now=question.now, max_hold_s=hold)
        return Energy(device_id, question, CATALOGUE.table, periods)
    with query("energy", tier.table):
        periods = await fetch_tier_periods(connection, device_id, edges, tier, now=question.now, max_hold_s=hold)
    return Energy(device_id, question, tier.table, periods)


def energy_document(energy: Energy) -> dict[str, Any]:
    """What was asked, `periods`, and their `total` (fields: `energy.rules.sums_document`, docs/energy.md)."""
    question = energy.question
    return {
        "device_id": energy.device_id,
        "period": question.period,
        "tz": question.zone.key,
        "max_hold_s": settings.ENERGY_MAX_HOLD_S,
        "source": energy.source,
        "periods": [sums_document(period, question.now) for period in energy.periods],
        "total": sums_document(sums_total(energy.periods), question.now),
    }
