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
from history_app.energy.readings import fetch_periods
from history_app.energy.rules import PeriodSums, sums_document, sums_total
from history_app.parameters import ENERGY, PERIOD, PERIODS
from history_app.planning.window import Window, floor
from history_app.query_metrics import query
from history_app.question import question_parse
from history_app.store.pool import Connection, telemetry_run
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
    """The sums of each period, from raw readings. Raises `Unavailable`."""

    async def work(connection: Connection) -> Energy:
        hold = settings.ENERGY_MAX_HOLD_S
        with query("energy"):
            periods = await fetch_periods(
                connection, device_id, question.window.edges, now=question.now, max_hold_s=hold
            )
        return Energy(device_id, question, CATALOGUE.table, periods)

    return await telemetry_run(work)


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
