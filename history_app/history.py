"""The history of a device: the result of the statements and the input of the documents."""

from __future__ import annotations

from dataclasses import dataclass

from history_app.planning.window import Window
from history_app.question import Question
from history_app.store.arrays import Columns


@dataclass(frozen=True, slots=True)
class History:
    """The history of one device: the columns of `Columns` after filling, with the window and the table they come from.

    `reach_s`: how far apart two readings of the device may be to belong to one line of a chart.
    """

    device_id: str
    question: Question
    window: Window
    source: str
    reach_s: float
    columns: Columns
