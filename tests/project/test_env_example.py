"""`.env.example` matches the code: every variable, its default, its unit. It contains no secret."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from testing.process import ROOT
from tests.project.deployment import COMPOSE_TEXT
from tests.project.variables import EXAMPLE, SECRET_NAME, Documented, Read, documented, reads
from writer.settings import settings_from

DOCUMENTED = documented()
READS = reads()
# Read by names from a table: they may refer to databases outside this machine.
NAMES_FROM_A_TABLE = {"scripts/lib/services/command.py"}
UNITS = {
    "_S": "Seconds",
    "_MS": "Milliseconds",
    "_DAYS": "Days",
    "_BYTES": "Bytes",
    "_READINGS": "Readings",
    "_WORKERS": "Processes",
}
SHOW_SETTINGS = """
import json
from asgi_project import settings
print(json.dumps({name: repr(value) for name, value in vars(settings).items() if name.isupper()}))
"""


def product_reads(name: str) -> list[Read]:
    """Return the reads in the product; scripts have separate defaults for the processes that they start."""
    return [read for read in READS if read.name == name and not read.file.startswith("scripts/")]


def test_the_finder_finds_each_kind_of_read() -> None:
    found = {read.name for read in READS}
    assert {"DEBUG", "ALLOWED_HOSTS", "LOG_LEVEL", "SECRET_KEY", "HISTORY_TIMEOUT_MS"} <= found  # the helper functions
    assert {"TELEMETRY_CATALOGUE", "TELEMETRY_ADMIN_URL"} <= found  # os.environ and the functions of the writer
    assert {"WRITER_GRACE_S", "WRITER_MAX_BODY_BYTES"} <= found  # the writer's table


def test_every_variable_in_the_code_is_documented() -> None:
    assert {read.name for read in READS if read.name} - DOCUMENTED.keys() == set()


def test_every_variable_is_read_by_a_literal_name() -> None:
    unknown = {read.file for read in READS if read.name is None}
    assert unknown <= NAMES_FROM_A_TABLE, "read it by a literal name, or list it above"


def test_every_documented_variable_is_used() -> None:
    in_compose = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", COMPOSE_TEXT))
    assert DOCUMENTED.keys() - {read.name for read in READS} - in_compose == set()


@pytest.mark.parametrize("name", sorted({read.name for read in READS if read.name}))
def test_the_documented_default_matches_the_code(name: str) -> None:
    defaults = {read.default for read in product_reads(name) if read.default}
    assert len(defaults) <= 1, f"{name} has several defaults: {defaults}"
    assert DOCUMENTED[name].default == next(iter(defaults), "")


@pytest.mark.parametrize("entry", DOCUMENTED.values(), ids=lambda entry: entry.name)
def test_every_variable_has_a_description_and_a_unit(entry: Documented) -> None:
    assert entry.comment.endswith("."), f"{entry.name} has no sentence above it"
    ending = next((ending for ending in sorted(UNITS, key=len, reverse=True) if entry.name.endswith(ending)), None)
    if ending and entry.default.isdecimal():
        assert UNITS[ending] in entry.comment
    elif entry.default in {"0", "1"}:
        assert "flag" in entry.comment.lower()


def test_required_variables_are_the_secrets_of_compose() -> None:
    to_be_set = {name for name, entry in DOCUMENTED.items() if entry.is_set}
    assert to_be_set == set(re.findall(r"\$\{([A-Z0-9_]+):\?", COMPOSE_TEXT))
    assert all(SECRET_NAME.search(name) for name in to_be_set)


def test_the_file_contains_no_secret() -> None:
    for entry in DOCUMENTED.values():
        if SECRET_NAME.search(entry.name):
            assert entry.default == "", entry.name
        if "://" in entry.default:
            assert urlsplit(entry.default).password is None, entry.name
    assert not re.search(r"[A-Za-z0-9_+/-]{32,}", EXAMPLE.read_text().replace("-" * 32, "").replace("TELEMETRY_", ""))


def test_setting_every_default_changes_nothing() -> None:
    given = {name: entry.default for name, entry in DOCUMENTED.items() if entry.default}
    # These are relative to the working folder, so they differ in text from the absolute defaults.
    for name in ("DATABASE_URL", "STATIC_ROOT"):
        del given[name]
    assert settings_with(given) == settings_with({})


def settings_with(given: dict[str, str]) -> dict[str, str]:
    """Return every Django setting of a process with only these variables and the secret key."""
    environment = {"PATH": os.defpath, "SECRET_KEY": "only-for-this-test-0123456789-abcdef", **given}
    done = subprocess.run(
        [sys.executable, "-c", SHOW_SETTINGS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    shown: dict[str, str] = json.loads(done.stdout)
    return shown


def test_setting_every_default_changes_nothing_for_the_writer() -> None:
    needed = {
        "TELEMETRY_ADMIN_URL": "postgresql://somewhere/wattstream",
        "REDIS_URL": DOCUMENTED["REDIS_URL"].default,
        "INGEST_SECRET": secrets.token_urlsafe(48),
    }
    given = {name: entry.default for name, entry in DOCUMENTED.items() if name.startswith("WRITER_")}
    assert settings_from({**needed, **given}) == settings_from(needed)
