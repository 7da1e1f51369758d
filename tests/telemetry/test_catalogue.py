"""Validation of the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.catalogue import Catalogue, CatalogueError, catalogue_load

METRIC = '[[metric]]\nname = "flow"\n'


def load(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "catalogue.toml"
    path.write_text(text)
    return catalogue_load(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[[metric]]\nname = "' + "m" * 58 + '"\n', "metric.name"),
        (f'[table]\nname = "{"t" * 48}"\n{METRIC}', "table.name"),
        (f'[table]\nchunk_interval = "soon"\n{METRIC}', "chunk_interval"),
        (f'[policies]\ncompress_after = "1 month"\n{METRIC}', "compress_after"),
        (f'[policies.keep]\nraw = "2 days"\n{METRIC}', "policies.keep"),
        (f'[policies.keep]\n2m = "90 days"\n{METRIC}', "2m"),
        (f'[policies.keep]\nraw = "90 days"\n1m = "80 days"\n{METRIC}', "policies.keep"),
        (f'[policies.keep]\n1m = "90 days"\n{METRIC}', "policies.keep"),
    ],
)
def test_invalid_entries_are_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(CatalogueError, match=named):
        load(tmp_path, text)


def test_the_longest_names_that_rollups_allow_are_accepted(tmp_path: Path) -> None:
    load(tmp_path, f'[table]\nname = "{"t" * 46}"\n[[metric]]\nname = "{"m" * 57}"\n')


def test_unlisted_tiers_inherit_the_retention_of_coarser_ones(tmp_path: Path) -> None:
    """A tier without an entry is kept as long as the next coarser tier with one."""
    keep = load(tmp_path, f'[policies.keep]\nraw = "90 days"\n1m = "90 days"\n15m = "52 weeks"\n{METRIC}').keep
    assert keep == {"raw": "90 days", "30s": "90 days", "1m": "90 days", "5m": "52 weeks", "15m": "52 weeks"}
