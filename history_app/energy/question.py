"""An energy question: which periods of which calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from django.conf import settings

from core.errors import TooLarge
from core.fair import in_turn
from devices_app.access import Access
from history_app.parameters import PERIOD, PERIODS
from history_app.planning.window import Window, floor
from history_app.question import question_parse
from history_app.store.arrays import Array, as_array
from telemetry.times import SECOND_US


@dataclass(frozen=True, slots=True)
class EnergyQuestion:
    """The requested periods: those that [start, end) touches, by the calendar of `zone`.

    `since`: for some devices, the time (µs) from which on their readings are visible to the user.
    """

    period: str
    window: Window
    now: int
    since: Mapping[str, int] = field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        return self.window.zone

    @property
    def edges(self) -> Array:
        """The starts of the periods and the end of the last one, µs."""
        return as_array(self.window.edges)


async def energy_parse(parameters: Mapping[str, str], access: Mapping[str, Access]) -> EnergyQuestion:
    """Check `period` and the window (other parameters do not count), for the devices of `access`.

    Without `start` and `range` it is the one period that `end` (or the present) falls in. Raises `BadRequest` naming
    the first parameter that cannot be used, `TooLarge` for more than ENERGY_MAX_PERIODS periods of all devices, and
    `Unavailable`.
    """
    period = PERIOD.parse(parameters.get("period"))
    question = question_parse(parameters, access)
    devices = len(access)
    step, start = PERIODS[period], question.start
    if "start" not in parameters and "range" not in parameters:
        start = floor(question.end - 1, step, question.zone)
    most = settings.ENERGY_MAX_PERIODS // max(devices, 1)
    if (question.end - start) / SECOND_US > most * step.seconds:
        raise TooLarge(
            f"period: this would be more than {most} of them"
            f"{'' if devices == 1 else f' for each of {devices} devices'}; take a longer one, or a shorter range."
        )
    periods = (question.end - start) / SECOND_US / step.seconds
    window = await in_turn(lambda: Window(start, question.end, step, question.zone), units=periods)
    return EnergyQuestion(period, window, question.now, question.since)
