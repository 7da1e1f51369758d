"""Report: rewrite the figures of docs/performance.md from bench/results/*.json.

The text of the page is written by hand. The blocks between `<!-- bench:NAME -->` and `<!-- end -->` are generated, so
that every figure on the page comes from a result.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.report import results
from bench.stack import ROOT

PAGE = ROOT / "docs" / "performance.md"
BLOCK = re.compile(r"<!-- bench:(\w+) -->\n.*?<!-- end -->\n", re.DOTALL)
Data = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="only check that the page matches the results")


async def run(options: argparse.Namespace) -> None:
    text = PAGE.read_text()
    written = rendered(text)
    if options.check and text != written:
        raise SystemExit("bench report: docs/performance.md does not match bench/results; run ./scripts/bench report")
    PAGE.write_text(written)


def rendered(text: str) -> str:
    """Return the page with regenerated blocks. Raises KeyError for an unknown block."""
    return BLOCK.sub(lambda found: _block(found[1]), text)


def _block(name: str) -> str:
    data = results.read(name)
    lines = list(_lines(name, data)) if data else [f"Not measured yet: `./scripts/bench {name}`."]
    return "\n".join([f"<!-- bench:{name} -->", *lines, "<!-- end -->", ""])


def _lines(name: str, data: Data) -> Iterator[str]:
    about = data["about"]
    before = f", load average {about['load_before']} before" if "load_before" in about else ""
    yield f"`{about['command']}`, {about['date']}, {about['machine']}{before}."
    yield ""
    yield from RENDERERS[name](data)
    if (results.FOLDER / f"{name}.png").exists():
        yield ""
        yield f"![{name}](../bench/results/{name}.png)"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table. Floats keep three significant digits."""
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(_text(cell) for cell in row)} |"


def _text(cell: object) -> str:
    if isinstance(cell, float):
        if cell != cell:
            return "–"
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _history(data: Data) -> Iterator[str]:
    heads = ("view", "server", "req/s", "p50 ms", "p99 ms", "server CPU ms", "database CPU ms")
    keys = ("view", "server", "per_second", "p50_ms", "p99_ms", "server_cpu_ms", "database_cpu_ms")
    yield from table(heads, ([row[key] for key in keys] for row in data["rows"]))


def _live(data: Data) -> Iterator[str]:
    heads = ("load", "server", "CPU µs per frame", "p50 ms", "p99 ms", "lost", "frames/s")
    keys = ("load", "server", "cpu_us", "p50_ms", "p99_ms", "lost", "per_second")
    yield from table(heads, ([row[key] for key in keys] for row in data["deliveries"]))
    yield ""
    memory = ((row["server"], row["sockets"], row["kilobytes"]) for row in data["memory"])
    yield from table(("server", "idle sockets", "kB per socket"), memory)


def _load(data: Data) -> Iterator[str]:
    yield (
        f"{data['users']} dashboards, {data['devices']} devices, {data['seconds_run']} s: readings lost"
        f" {data['lost_reading']}, duplicated {data['doubled_reading']},"
        f" received but not stored {data['unknown_reading']}."
    )
    yield ""
    keys = ("name", "count", "per_second", "p50_ms", "p90_ms", "p99_ms", "max_ms", "failures")
    heads = ("what", "count", "per s", "p50 ms", "p90 ms", "p99 ms", "max ms", "failed")
    entries = sorted(data["entries"], key=lambda row: (row["kind"] == "live", row["name"]))
    yield from table(heads, ([_number(row[key]) for key in keys] for row in entries))
    yield ""
    yield from _parts(data["course"]["parts"])


def _number(value: object) -> object:
    return round(value, 1) if isinstance(value, float) else value


def _parts(parts: Data) -> Iterator[str]:
    heads = ("part", "cores", "peak", "MB first", "MB last", "MB peak")
    keys = ("cores_mean", "cores_peak", "megabytes_first", "megabytes_last", "megabytes_peak")
    yield from table(heads, ([name, *(float(part[key]) for key in keys)] for name, part in parts.items()))


def _capacity(data: Data) -> Iterator[str]:
    heads = (
        "load",
        "capacity",
        "p99 ms at capacity",
        "cores at capacity",
        "generator",
        "at twice the capacity",
        "at the capacity again",
    )
    yield from table(heads, (_stage(stage) for stage in data["stages"].values()))
    for stage in data["stages"].values():
        about = stage.get("about", data["about"])
        if about != data["about"]:
            yield ""
            yield f"{stage['title']}: `{about['command']}`, {about['date']}, {about['machine']}."


def _stage(stage: Data) -> list[object]:
    carried = [step for step in stage["steps"] if step["load"] == stage["found"] and not step["missed"]]
    if not carried:
        return [stage["title"], "nothing carried", "–", "–", "–", "–", "–"]
    step = carried[-1]
    cores = ", ".join(f"{name} {share:.2f}" for name, share in step["cores"].items() if name != "generator")
    most = " (the highest load offered)" if stage["found"] == stage["most"] else ""
    found = f"{stage['found']:,} {stage['unit']}{most}"
    generator = step["cores"]["generator"]
    return [stage["title"], found, step["p99_ms"], cores, generator, _beyond(stage["twice"]), _beyond(stage["after"])]


def _beyond(step: Data) -> str:
    said = [f"{step['load']:,}: p99 {_text(step['p99_ms'])} ms", f"lost {step['lost']}, duplicated {step['doubled']}"]
    said += [f"{step['refused']:,} refused with 503"] if step["refused"] else []
    said += [f"{step['named']:,} named as dropped"] if step["named"] else []
    said += [f"failed {name}: {count:,}" for name, count in step["failed"].items()]
    return ", ".join(said)


def _growth(data: Data) -> Iterator[str]:
    yield f"Factor 1 is {data['days']} days of one device beside {data['days']} days of another, at 1 Hz."
    yield "".join(f" Left out: {line}." for line in data["left_out"]) or "Nothing was left out."
    yield ""
    times = sorted({row["times"] for row in data["views"]})
    rows = {row["times"]: row["rows"] for row in data["views"]}
    heads = ["CPU ms per request (server + database)", *(f"{n} ×, {rows[n]:,} rows" for n in times)]
    yield from table(heads, _views(data["views"], times))
    yield ""
    frames = ((row["sockets"], row["cpu_us"], row["p99_ms"], row["lost"]) for row in data["frames"])
    yield from table(("sockets", "CPU µs per frame", "p99 ms", "lost"), frames)
    yield ""
    heads = ["users, and as many devices", "start s", "MB after start", "access µs", "token µs", "GET /api/devices ms"]
    keys = ("users", "start_s", "megabytes", "access_us", "token_us", "devices_ms")
    yield from table(heads, ([row[key] for key in keys] for row in data["accounts"]))


def _views(rows: Sequence[Data], times: Sequence[int]) -> Iterator[list[object]]:
    costs = {
        (row["view"], row["device"], row["times"]): float(row["server_cpu_ms"] + row["database_cpu_ms"]) for row in rows
    }
    for device, name in (("more", "more devices"), ("longer", "longer history")):
        for view in dict.fromkeys(row["view"] for row in rows):
            yield [f"{view}, {name}", *(costs.get((view, device, n), float("nan")) for n in times)]


def _soak(data: Data) -> Iterator[str]:
    verdict = data["verdict"]
    yield from table(
        ("", ""),
        [
            ("minutes", data["minutes"]),
            ("devices, dashboards", f"{data['devices']:,}, {data['dashboards']:,}"),
            ("readings stored", data["readings"]),
            ("faults, in rounds", f"{len(data['faults']):,}, {data['rounds']:,}"),
            ("rounds that failed", len(data["failures"])),
            ("reconnects of dashboards", verdict["reconnects"]),
            ("owed to dashboards", verdict["owed"]),
            ("received", verdict["given"]),
            ("**lost**", verdict["lost"] + data["lost_before_the_store"]),
            ("**duplicated**", verdict["doubled"]),
            ("named as missing, to be loaded from history", verdict["named"]),
            ("p99 of calm seconds, first quarter, ms", data["calm_p99_ms_first"]),
            ("p99 of calm seconds, last quarter, ms", data["calm_p99_ms_last"]),
        ],
    )
    yield ""
    yield from _parts(data["course"]["parts"])


RENDERERS: dict[str, Callable[[Data], Iterator[str]]] = {
    "history": _history,
    "live": _live,
    "load": _load,
    "capacity": _capacity,
    "growth": _growth,
    "soak": _soak,
}
