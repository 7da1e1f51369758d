"""`scripts/env`: writes a complete .env with new secrets, readable by its owner only, and never overwrites one."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from testing.process import ROOT
from tests.project.variables import DOCUMENTED_LINE, documented


def env_script(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts/env", *arguments], capture_output=True, text=True, timeout=30, check=False, cwd="/"
    )


def values(text: str) -> dict[str, str]:
    """Return the values that the text sets."""
    found = [match for line in text.splitlines() if (match := DOCUMENTED_LINE.match(line)) and not match[1]]
    return {match[2]: match[3] for match in found}


def test_every_secret_is_set_and_differs_per_run() -> None:
    first, second = values(env_script().stdout), values(env_script().stdout)
    assert first.keys() == {name for name, entry in documented().items() if entry.is_set}
    assert len({*first.values(), *second.values()}) == 2 * len(first)
    assert min(map(len, first.values())) >= 48


def test_the_file_is_readable_by_its_owner_only_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert env_script("--output", path).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_text()
    again = env_script("--output", path)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert path.read_text() == written
    assert not [secret for secret in values(written).values() if secret in again.stderr + again.stdout]


def test_help_shows_the_command() -> None:
    assert "./scripts/env --output .env" in env_script("--help").stdout
