"""Spans: whole buckets, merged per device, cut at a moment, divided into slices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rollup.spans import SLICE_DEVICES, SLICE_SECONDS, Slice, Span, parameters, slices_of, split_at, widened


def test_spans_are_widened_to_whole_buckets_and_merged_per_device() -> None:
    spans = [Span("a", 60, 120), Span("a", 300, 360), Span("a", 1200, 1260), Span("b", 60, 120)]
    assert widened(spans, 60) == spans
    assert widened(spans, 300) == [Span("a", 0, 600), Span("a", 1200, 1500), Span("b", 0, 300)]
    assert widened(spans, 86_400) == [Span("a", 0, 86_400), Span("b", 0, 86_400)]


def test_spans_before_1970_are_widened_downwards() -> None:
    assert widened([Span("a", -61, -30)], 60) == [Span("a", -120, 0)]


def test_a_span_is_cut_at_a_moment() -> None:
    spans = [Span("a", 0, 900), Span("a", 1800, 3600), Span("b", 2700, 3600)]
    assert split_at(spans, 2700) == (
        [Span("a", 0, 900), Span("a", 1800, 2700)],
        [Span("a", 2700, 3600), Span("b", 2700, 3600)],
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5000, 5000), st.integers(1, 500))))
def test_widened_spans_hold_every_moment_once(given_spans: list[tuple[str, int, int]]) -> None:
    spans = [Span(device, low, low + length) for device, low, length in sorted(given_spans)]
    result = widened(spans, 60)
    touched = {(device, second // 60) for device, low, high in spans for second in range(low, high)}
    minutes = [(span.device_id, minute) for span in result for minute in range(span.low // 60, span.high // 60)]
    assert sorted(minutes) == sorted(touched)
    assert all(span.low % 60 == span.high % 60 == 0 for span in result)


def test_statements_get_arrays_and_the_bounds_of_all_spans() -> None:
    assert parameters([Span("a", 60, 120), Span("b", 0, 60)]) == {
        "devices": ["a", "b"],
        "lows": [60, 0],
        "highs": [120, 60],
        "low": 0,
        "high": 120,
    }


def test_a_slice_is_bounded_in_devices_and_in_readings() -> None:
    many = [f"d{number:04}" for number in range(2 * SLICE_DEVICES + 1)]
    assert [len(part.devices) for part in slices_of(0, 3, many, [60.0] * len(many))] == [SLICE_DEVICES] * 2 + [1]
    whole_days = [SLICE_SECONDS * 0.4] * 5
    assert [len(part.devices) for part in slices_of(0, 3, many[:5], whole_days)] == [2, 2, 1]
    assert list(slices_of(0, 3, ["a"], [SLICE_SECONDS * 9.0])) == [Slice(0, 3, ("a",))]
