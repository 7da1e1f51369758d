"""A private hypertable with the whole schema, and engines on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from telemetry.catalogue import Catalogue, catalogue_load
from testing.stack import Stack
from tests.rollup.table import Table, schema_apply, table_drop

# Names of a third-party installation: one in mixed case, and a metric whose name differs from its column's.
CATALOGUE_TEXT = """
[table]
name = "{name}"
time = "At"
device = "meter"
chunk_interval = "1 day"

[[metric]]
name = "flow"
column = "devices"
kind = "power"
unit = "W"

[[metric]]
name = "level"
kind = "other"
"""


@pytest.fixture(scope="session")
def owner_url(stack: Stack) -> str:
    return stack.env["TELEMETRY_ADMIN_URL"]


@pytest.fixture
def catalogue_path(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.toml"
    path.write_text(CATALOGUE_TEXT.format(name=f"meter_{secrets.token_hex(3)}"))
    return path


@pytest.fixture
def catalogue(catalogue_path: Path) -> Catalogue:
    return catalogue_load(catalogue_path)


@pytest.fixture
def table(owner_url: str, catalogue: Catalogue) -> Iterator[Table]:
    """An empty hypertable with tiers, log and triggers."""
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
        schema_apply(connection, catalogue)
        yield Table(owner_url, catalogue, connection)
        table_drop(connection, catalogue)
