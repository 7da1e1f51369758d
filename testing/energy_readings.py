"""Hypothesis strategies: valid and hostile readings of energy metrics."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

SECOND_US = 1_000_000
Row = tuple[int, tuple[float | None, ...]]

powers = st.one_of(
    st.none(),
    st.sampled_from([0.0, 1000.0, -1000.0]),
    st.floats(-1e5, 1e5, allow_nan=False).map(lambda value: round(value, 3)),
)
hostile = st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e300])
# Gaps in µs: steady and with jitter, at the limits of the rule, between buckets, and over hours and days.
gaps = st.one_of(
    st.sampled_from(
        [1, 10**6, 10**7, 24 * 10**6, 60 * 10**6, 900 * 10**6, 3600 * 10**6, 7200 * 10**6, 7200 * 10**6 + 1]
    ),
    st.integers(1, 120 * SECOND_US),
    st.integers(1, 3 * 86_400 * SECOND_US),
)


@st.composite
def runs(draw: st.DrawFn, start: int, metrics: int, *, longest: int = 40) -> list[Row]:
    """Draw readings of `metrics` metrics from `start` (µs) on, in time order: several runs with one gap each."""
    at, rows = start, []
    values = st.tuples(*[st.one_of(powers, powers, powers, hostile)] * metrics)
    for _ in range(draw(st.integers(1, 6))):
        gap, jitter = draw(gaps), draw(st.sampled_from([0, 0, 1_500_000]))
        for _ in range(draw(st.integers(1, longest // 6))):
            at += max(1, gap + draw(st.integers(-jitter, jitter)) if jitter else gap)
            rows.append((at, draw(values)))
    return rows


def column(rows: Sequence[Row], index: int) -> list[tuple[int, float | None]]:
    """Return the readings of one metric."""
    return [(at, values[index]) for at, values in rows]
