"""The catalogue: which metrics exist, and in which table and columns they are stored."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

DEFAULT_PATH = Path(__file__).with_name("catalogue.toml")
KINDS = ("voltage", "current", "power", "percent", "frequency", "temperature", "energy", "other")
ROLES = ("grid", "battery", "solar", "load")
POWER_UNITS = ("W", "kW", "MW")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_INTERVAL = re.compile(r"\d+ (second|minute|hour|day|week)s?")


class CatalogueError(ValueError):
    """The catalogue file cannot be used; the message names the file, the entry and what is accepted."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity. `minimum` and `maximum` bound what the writer accepts (both inclusive).

    `role` says which flow of the house a power metric stands for, "" where none: energy is accounted by it.
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
    role: str = ""

    @property
    def is_power(self) -> bool:
        """Power metrics get their positive and negative parts summed apart in the rollup tiers."""
        return self.kind == "power"


@dataclass(frozen=True)
class Catalogue:
    """Table, columns and metrics, in the order in which every answer lists them."""

    schema: str
    table: str
    time: str
    device: str
    chunk_interval: str
    sample_period_s: float
    metrics: tuple[Metric, ...] = field(repr=False)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(metric.name for metric in self.metrics)

    @cached_property
    def by_name(self) -> Mapping[str, Metric]:
        return {metric.name: metric for metric in self.metrics}

    @cached_property
    def by_role(self) -> Mapping[str, Metric]:
        return {metric.role: metric for metric in self.metrics if metric.role}


def catalogue_load(path: Path | None = None) -> Catalogue:
    """Read the catalogue from `path`, else from the file TELEMETRY_CATALOGUE names, else the default one.

    Raises `CatalogueError` when the file is missing or an entry in it is not usable.
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
    roles = [f"role {metric.role}" for metric in metrics if metric.role]
    for listed in (columns, names, roles):
        for twice in {name for name in listed if listed.count(name) > 1}:
            raise CatalogueError(f"{path}: {twice!r} is listed twice")
    for reserved in {"time", "device_id"} & set(names):
        raise CatalogueError(f"{path}: a metric cannot be named {reserved!r}; give it another name and set column")
    chunk_interval = str(table.get("chunk_interval", "7 days"))
    if not _INTERVAL.fullmatch(chunk_interval):
        raise CatalogueError(f"{path}: table.chunk_interval is {chunk_interval!r}; accepted is e.g. '7 days'")
    sample_period_s = float(table.get("sample_period_s", 1))
    if sample_period_s <= 0:
        raise CatalogueError(f"{path}: table.sample_period_s must be greater than 0")
    return Catalogue(
        schema=_identifier(table.get("schema", "public"), "table.schema", path),
        table=_identifier(table.get("name", "energy_data"), "table.name", path),
        time=time,
        device=device,
        chunk_interval=chunk_interval,
        sample_period_s=sample_period_s,
        metrics=metrics,
    )


def _metric(entry: Mapping[str, Any], path: str) -> Metric:
    name = _identifier(entry.get("name"), "metric.name", path)
    kind = entry.get("kind", "other")
    if kind not in KINDS:
        raise CatalogueError(f"{path}: {name}.kind is {kind!r}; accepted are {', '.join(KINDS)}")
    role = entry.get("role", "")
    if role and (role not in ROLES or kind != "power" or entry.get("unit") not in POWER_UNITS):
        raise CatalogueError(
            f"{path}: {name}.role is {role!r}; accepted are {', '.join(ROLES)}, for a metric of kind power in"
            f" {', '.join(POWER_UNITS)}"
        )
    return Metric(
        name=name,
        column=_identifier(entry.get("column", name), f"{name}.column", path),
        unit=str(entry.get("unit", "")),
        kind=kind,
        sign=str(entry.get("sign", "")),
        description=str(entry.get("description", "")),
        packet=tuple(str(entry.get("packet", "")).split(".")) if entry.get("packet") else (),
        minimum=entry.get("min"),
        maximum=entry.get("max"),
        role=role,
    )


def _identifier(value: object, what: str, path: str) -> str:
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
        return value
    raise CatalogueError(f"{path}: {what} is {value!r}; accepted are letters, digits and _, at most 63")
