"""docs/operations.md and deploy/alerts.yml name exactly the existing metrics and limits."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from django.urls import resolve

from auth_app.http.handler import route_pattern
from testing.metrics import scrape
from testing.process import ROOT, Process
from tests.project.variables import documented

TEXT = (ROOT / "docs/operations.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"] for rule in group["rules"]
]
ROWS = re.findall(r"^\| `(wattstream_\w+)`( \*)? \| ([^|]+) \|", TEXT, re.MULTILINE)
LIMIT = re.compile(
    r"(ACCOUNTS|HISTORY|LATEST|TELEMETRY|EXPORT|EXPORTS|ENERGY|LIVE|WRITER|LOGIN|REGISTRATIONS|CLAIM|API_KEYS|TICKETS|HANDSHAKE|AUDIT)_\w+"
)
NO_LIMITS = {"TELEMETRY_URL", "TELEMETRY_ADMIN_URL", "TELEMETRY_CATALOGUE", "HISTORY_USE_TIERS", "WRITER_ROLLUP",
             "TELEMETRY_OWNER_PASSWORD", "TELEMETRY_READER_PASSWORD", "TELEMETRY_STANDBY_PASSWORD",
             "ACCOUNTS_PASSWORD"}  # fmt: skip


def exported(server: Process, writer: Process) -> set[str]:
    return scrape(server).names | scrape(writer).names


def test_every_metric_is_documented_and_every_documented_metric_exists(server: Process, writer: Process) -> None:
    names = [name for name, _, _ in ROWS]
    assert len(names) == len(set(names))
    assert set(names) == exported(server, writer)


def test_alerts_use_existing_metrics_that_the_document_marks(server: Process, writer: Process) -> None:
    used = {name for rule in RULES for name in re.findall(r"wattstream_\w+", rule["expr"])}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert families <= exported(server, writer)
    assert families == {name for name, mark, _ in ROWS if mark}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_have_a_severity_and_a_summary(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_routes_in_alerts_match_the_route_labels() -> None:
    routes = [route for rule in RULES for route in re.findall(r'route="([^"]+)"', rule["expr"])]
    assert routes
    for route in routes:
        assert route_pattern(resolve(route.format(device_id="x")).route) == route


def test_every_limit_has_a_documented_effect() -> None:
    limits = {name for name in documented() if LIMIT.fullmatch(name)} - NO_LIMITS
    section = TEXT.partition("\n## Limits\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", section))
    assert limits - named == set()
    assert named - documented().keys() == set()


def test_every_variable_in_the_document_exists() -> None:
    # Variables of other programs, and the document's examples.
    foreign = {"NEW_URL", "CHANGELOG"}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT))
    assert {name for name in named if not name.startswith("OTEL_")} - documented().keys() - foreign == set()
