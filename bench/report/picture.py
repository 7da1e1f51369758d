"""Charts of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

FEW = 50  # points per line up to which they are drawn as markers
ROOM = 1.3  # space above the highest point for the legend
COLOURS = ("#0f766e", "#94a3b8", "#d97706", "#7c3aed", "#475569", "#be123c")


def bars(path: Path, *, title: str, groups: Sequence[str], values: Mapping[str, Sequence[float]]) -> None:
    """Draw one group of bars per entry of `groups`, one bar per entry of `values`; logarithmic."""
    figure, axes = pyplot.subplots(figsize=(8, 4), dpi=120)
    width = 0.8 / len(values)
    for number, (name, heights) in enumerate(values.items()):
        places = [index + (number - (len(values) - 1) / 2) * width for index in range(len(groups))]
        drawn = axes.bar(places, heights, width * 0.92, label=name, color=COLOURS[number % len(COLOURS)])
        axes.bar_label(drawn, fmt=lambda height: f"{height:,.0f}" if height >= 10 else f"{height:.1f}", fontsize=7)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_yscale("log")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=len(values), loc="upper center", bbox_to_anchor=(0.5, -0.08))
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


@dataclass(frozen=True)
class Curves:
    """A panel of lines: `lines` are x and y values by name; `marked`: positions on the x axis; `limit`: a y value."""

    x: str
    y: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float | None]]]
    log: str = ""  # logarithmic axes: "", "x" or "xy"
    limit: float | None = None
    marked: Sequence[float] = ()


def curves(path: Path, *, title: str, panels: Mapping[str, Curves], columns: int = 1) -> None:
    """Draw one panel per entry, `columns` per row."""
    rows = -(-len(panels) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(8, 0.5 + 2.4 * rows), dpi=120, squeeze=False)
    figure.suptitle(title, x=0.02, ha="left")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (name, panel) in zip(grid.flat, panels.items(), strict=False):
        for number, (line, (xs, ys)) in enumerate(panel.lines.items()):
            style = "o-" if len(xs) < FEW else "-"
            axes.plot(xs, ys, style, label=line, color=COLOURS[number % len(COLOURS)], markersize=3, linewidth=1)
        for moment in panel.marked:
            axes.axvline(moment, color="#fecaca", linewidth=0.8, zorder=0)
        if panel.limit is not None:
            axes.axhline(panel.limit, color="#dc2626", linewidth=0.8, linestyle="--")
        if "x" in panel.log:
            axes.set_xscale("log")
        if "y" in panel.log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, ROOM * axes.get_ylim()[1])
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_xlabel(panel.x, fontsize=8)
        axes.set_ylabel(panel.y, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        if len(panel.lines) > 1:
            axes.legend(frameon=False, fontsize=6, ncols=3, loc="upper right")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def panels(path: Path, *, title: str, measures: Mapping[str, Mapping[str, float]]) -> None:
    """Draw one panel per entry of `measures`, one below the other, with one bar per value; logarithmic."""
    rows = [len(measure) for measure in measures.values()]
    figure, grid = pyplot.subplots(
        len(measures), figsize=(8, 0.6 + 0.28 * sum(rows) + 0.5 * len(rows)), dpi=120, height_ratios=rows, squeeze=False
    )
    figure.suptitle(title, x=0.02, ha="left")
    for axes, (name, measure) in zip(grid[:, 0], measures.items(), strict=True):
        colours = [COLOURS[0] if number == 0 else COLOURS[1] for number in range(len(measure))]
        drawn = axes.barh(list(measure), list(measure.values()), color=colours)
        axes.bar_label(drawn, fmt="%.3g", fontsize=8, padding=2)
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_xscale("log")
        axes.set_xticks([], minor=True)
        axes.set_xticks([])
        axes.margins(x=0.15)
        axes.invert_yaxis()
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
