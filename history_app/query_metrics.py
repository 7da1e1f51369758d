"""The metrics of history: the time of each question to the telemetry database, by tier."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from prometheus_client import Histogram

from core.catalogue import CATALOGUE
from telemetry.tracing import span

RAW = "raw"
QUERY_SECONDS = Histogram(
    "wattstream_telemetry_query_seconds",
    "Time that TimescaleDB and the decoding of its rows took, by question and tier.",
    ["question", "tier"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class query(AbstractContextManager["query"]):  # noqa: N801 - it reads as the function that it is used as
    """Measures the statement of one question, and traces it if traces are on. Failed statements are not measured."""

    __slots__ = ("_question", "_span", "_started", "_tier")

    def __init__(self, question: str, table: str = CATALOGUE.table) -> None:
        self._question = question
        self._tier = RAW if table == CATALOGUE.table else table.removeprefix(f"{CATALOGUE.table}_")

    def __enter__(self) -> Self:
        self._span: AbstractContextManager[Any] = span(
            "telemetry query", {"wattstream.question": self._question, "wattstream.tier": self._tier}
        )
        self._span.__enter__()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._started
        self._span.__exit__(kind, error, trace)
        if kind is None:
            QUERY_SECONDS.labels(self._question, self._tier).observe(seconds)
