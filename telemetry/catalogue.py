"""The catalogue: the metrics, and the table and columns that store them."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

DEFAULT_PATH = Path(__file__).with_name("catalogue.toml")
KINDS = ("voltage", "current", "power", "percent", "frequency", "temperature", "energy", "other")
# By kind: the roles that a metric of that kind may have, and the units that a role requires.
ROLES: Mapping[str, tuple[str, ...]] = {
    "power": ("grid", "battery", "solar", "load"),
    "energy": ("grid_import", "grid_export", "battery_charge", "battery_discharge", "solar", "load"),
}
ROLE_UNITS: Mapping[str, tuple[str, ...]] = {"power": ("W", "kW", "MW"), "energy": ("Wh", "kWh", "MWh")}
# No metric of any unit is measured beyond this; sums of such values stay within a double's range.
PLAUSIBLE = 1e15
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_INTERVAL = re.compile(r"(\d{1,6}) (second|minute|hour|day|week)s?")
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
# The rollup tiers and the length of their buckets, finest first: each length divides the next one.
TIER_SECONDS = {"30s": 30, "1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400}
# PostgreSQL silently truncates longer names. The longest suffixes of a table's and a metric's name in the rollup:
_NAME_BYTES = 63
_LONGEST_OF_TABLE = "_changes_truncate"
_LONGEST_OF_METRIC = "_count"
# The coarsest bucket is rebuilt from the finer tiers of its day and of the days beside it.
_KEEP_AT_LEAST_S = 3 * TIER_SECONDS["1d"]


class CatalogueError(ValueError):
    """The catalogue file is invalid; the message names the file, the entry and what is accepted."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity. `minimum` and `maximum` are its plausible bounds (inclusive), None if it has none.

    The writer stores a value beyond a bound as null, or as the bound if it is within `tolerance` of it.
    `role`: the flow of the house that a power metric or an energy counter measures, "" for none. It selects the energy
    figure that the metric contributes to.
    """

    name: str
    column: str
    unit: str
    kind: str
    sign: str = ""
    description: str = ""
    packet: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    tolerance: float = 0.0
    role: str = ""

    @property
    def low(self) -> float:
        """The smallest plausible value."""
        return -PLAUSIBLE if self.minimum is None else float(self.minimum)

    @property
    def high(self) -> float:
        """The largest plausible value."""
        return PLAUSIBLE if self.maximum is None else float(self.maximum)

    @property
    def is_power(self) -> bool:
        """A power has two directions; energy is accounted for each (docs/energy.md)."""
        return self.kind == "power"

    @property
    def is_counter(self) -> bool:
        """Energy counters grow with the energy that has flowed; a value below the previous one is a reset."""
        return self.kind == "energy"


@dataclass(frozen=True)
class Catalogue:
    """Table, columns and metrics, in the order in which every response lists them.

    `compress_after` and `keep` are intervals. `keep`: how long "raw" and each tier are kept, forever if it
    has no entry. The Timescale edition compresses and drops raw readings; the rollup deletes rows of tiers.
    """

    schema: str
    table: str
    time: str
    device: str
    chunk_interval: str
    sample_period_s: float
    metrics: tuple[Metric, ...] = field(repr=False)
    compress_after: str = "30 days"
    keep: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(metric.name for metric in self.metrics)

    @cached_property
    def by_name(self) -> Mapping[str, Metric]:
        return {metric.name: metric for metric in self.metrics}

    @cached_property
    def by_role(self) -> Mapping[str, Metric]:
        """Power metrics by role."""
        return {metric.role: metric for metric in self.metrics if metric.role and metric.is_power}

    @cached_property
    def by_counter_role(self) -> Mapping[str, Metric]:
        """Energy counters by role."""
        return {metric.role: metric for metric in self.metrics if metric.role and metric.is_counter}


def catalogue_load(path: Path | None = None) -> Catalogue:
    """Read the catalogue from `path`, else from the file in TELEMETRY_CATALOGUE, else the default one.

    Raises `CatalogueError` if the file is missing or an entry is invalid.
    """
    path = path or Path(os.environ.get("TELEMETRY_CATALOGUE") or DEFAULT_PATH)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"TELEMETRY_CATALOGUE: {path} cannot be read: {error}") from error
    return _catalogue(document, str(path))


def _catalogue(document: Mapping[str, Any], path: str) -> Catalogue:
    table = document.get("table", {})
    entries = document.get("metric", [])
    if not entries:
        raise CatalogueError(f"{path}: at least one [[metric]] is needed")
    metrics = tuple(_metric(entry, path) for entry in entries)
    time = _identifier(table.get("time", "time"), "table.time", path)
    device = _identifier(table.get("device", "device_id"), "table.device", path)
    columns = [time, device, *(metric.column for metric in metrics)]
    names = [metric.name for metric in metrics]
    roles = [f"role {metric.role} of kind {metric.kind}" for metric in metrics if metric.role]
    for listed in (columns, names, roles):
        for twice in {name for name in listed if listed.count(name) > 1}:
            raise CatalogueError(f"{path}: {twice!r} is listed twice")
    for reserved in {"time", "device_id"} & set(names):
        raise CatalogueError(f"{path}: a metric cannot be named {reserved!r}; give it another name and set column")
    sample_period_s = float(table.get("sample_period_s", 1))
    if sample_period_s <= 0:
        raise CatalogueError(f"{path}: table.sample_period_s must be greater than 0")
    policies = document.get("policies", {})
    return Catalogue(
        schema=_identifier(table.get("schema", "public"), "table.schema", path),
        table=_stem(table.get("name", "energy_data"), _LONGEST_OF_TABLE, "table.name", path),
        time=time,
        device=device,
        chunk_interval=_interval(table.get("chunk_interval", "7 days"), "table.chunk_interval", path),
        sample_period_s=sample_period_s,
        metrics=metrics,
        compress_after=_interval(policies.get("compress_after", "30 days"), "policies.compress_after", path),
        keep=_keep(policies.get("keep", {}), path),
    )


def _keep(entries: Mapping[str, Any], path: str) -> Mapping[str, str]:
    known = ["raw", *TIER_SECONDS]
    for name in entries:
        if name not in known:
            raise CatalogueError(f"{path}: policies.keep.{name}: accepted are {', '.join(known)}")
    keep = {name: _interval(entries[name], f"policies.keep.{name}", path) for name in known if name in entries}
    for finer, name in reversed(list(pairwise(TIER_SECONDS))):  # no longer than the tier made of it
        if name in keep:
            keep.setdefault(finer, keep[name])
    lengths = [_seconds(keep[name]) if name in keep else math.inf for name in known]
    if lengths[0] < _KEEP_AT_LEAST_S or lengths != sorted(lengths):
        raise CatalogueError(
            f"{path}: policies.keep: at least 3 days, and a tier at least as long as what it is made of"
        )
    return keep


def _seconds(interval: str) -> int:
    match = _INTERVAL.fullmatch(interval)
    assert match is not None  # it was checked when it was read
    return int(match[1]) * _SECONDS[match[2]]


def _metric(entry: Mapping[str, Any], path: str) -> Metric:
    name = _stem(entry.get("name"), _LONGEST_OF_METRIC, "metric.name", path)
    kind = entry.get("kind", "other")
    if kind not in KINDS:
        raise CatalogueError(f"{path}: {name}.kind is {kind!r}; accepted are {', '.join(KINDS)}")
    role = entry.get("role", "")
    if role and (role not in ROLES.get(kind, ()) or entry.get("unit") not in ROLE_UNITS[kind]):
        accepted = "; ".join(
            f"{', '.join(roles)} for kind {of_kind} in {', '.join(ROLE_UNITS[of_kind])}"
            for of_kind, roles in ROLES.items()
        )
        raise CatalogueError(f"{path}: {name}.role is {role!r}; accepted are {accepted}")
    minimum = _bound(entry.get("min"), f"{name}.min", path)
    maximum = _bound(entry.get("max"), f"{name}.max", path)
    if minimum is not None and maximum is not None and minimum >= maximum:
        raise CatalogueError(f"{path}: {name}.min is {minimum!r}; accepted is less than {name}.max, {maximum!r}")
    return Metric(
        name=name,
        column=_identifier(entry.get("column", name), f"{name}.column", path),
        unit=str(entry.get("unit", "")),
        kind=kind,
        sign=str(entry.get("sign", "")),
        description=str(entry.get("description", "")),
        packet=tuple(str(entry.get("packet", "")).split(".")) if entry.get("packet") else (),
        minimum=minimum,
        maximum=maximum,
        tolerance=_bound(entry.get("tolerance", 0), f"{name}.tolerance", path) or 0.0,
        role=role,
    )


def _bound(value: object, what: str, path: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= PLAUSIBLE:
        raise CatalogueError(f"{path}: {what} is {value!r}; accepted is a number from {-PLAUSIBLE:g} to {PLAUSIBLE:g}")
    if what.endswith(".tolerance") and value < 0:
        raise CatalogueError(f"{path}: {what} is {value!r}; accepted is a number of at least 0")
    return float(value)


def _identifier(value: object, what: str, path: str) -> str:
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
        return value
    raise CatalogueError(f"{path}: {what} is {value!r}; accepted are letters, digits and _, at most 63")


def _stem(value: object, appended: str, what: str, path: str) -> str:
    """An identifier that leaves room for the suffixes of the rollup tiers."""
    name = _identifier(value, what, path)
    longest = _NAME_BYTES - len(appended)
    if len(name) > longest:
        raise CatalogueError(
            f"{path}: {what} is {name!r}; accepted are at most {longest} characters, for the rollup tiers"
        )
    return name


def _interval(value: object, what: str, path: str) -> str:
    if isinstance(value, str) and _INTERVAL.fullmatch(value):
        return value
    raise CatalogueError(f"{path}: {what} is {value!r}; accepted is e.g. '7 days'")
