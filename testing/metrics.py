"""Metrics of a server for tests: samples of /metrics by name and labels."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from testing.process import Process


class Scrape:
    """The result of one request to /metrics."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))

    def value(self, sample: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels; 0 without any."""
        return sum(
            found.value
            for family in self.families
            for found in family.samples
            if found.name == sample and labels.items() <= found.labels.items()
        )

    def labels(self, sample: str, label: str) -> set[str]:
        """Return the values of one label."""
        return {
            found.labels[label]
            for family in self.families
            for found in family.samples
            if found.name == sample and label in found.labels
        }

    @property
    def names(self) -> set[str]:
        """Return the names of the metrics as in the TYPE lines: counters with `_total`."""
        return {f"{family.name}_total" if family.type == "counter" else family.name for family in self.families}


def scrape(server: Process, *, token: str | None = None) -> Scrape:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(f"{server.url}/metrics", headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return Scrape(answer.text)
