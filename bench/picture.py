"""Pictures of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLOURS = ("#0f766e", "#94a3b8", "#d97706", "#7c3aed", "#475569")


def bars(path: Path, *, title: str, groups: Sequence[str], values: Mapping[str, Sequence[float]]) -> None:
    """A group of bars for each of `groups`, a bar for each entry of `values`; logarithmic."""
    figure, axes = pyplot.subplots(figsize=(8, 4), dpi=120)
    width = 0.8 / len(values)
    for number, (name, heights) in enumerate(values.items()):
        places = [index + (number - (len(values) - 1) / 2) * width for index in range(len(groups))]
        drawn = axes.bar(places, heights, width * 0.92, label=name, color=COLOURS[number % len(COLOURS)])
        axes.bar_label(drawn, fmt="%.3g", fontsize=8)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_yscale("log")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
