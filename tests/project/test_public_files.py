"""The files of a public repository: they exist, they are valid, and the commands in them exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.process import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
PRE_COMMIT = ROOT / ".pre-commit-config.yaml"
EXPECTED = (
    "LICENSE", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md", "SECURITY.md", ".editorconfig",
    ".pre-commit-config.yaml", ".github/workflows/ci.yml", ".github/workflows/release.yml",
    ".github/pull_request_template.md", ".github/ISSUE_TEMPLATE/bug.yml", ".github/ISSUE_TEMPLATE/feature.yml",
    "docs/releasing.md", "docs/debugging.md",
)  # fmt: skip
SCRIPT = re.compile(r"\./(scripts/[\w-]+)")
RELEASE = [str(ROOT / ".venv/bin/python"), "-m", "lib.release"]


def parsed(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def workflow_commands(path: Path) -> list[str]:
    """Return every `run` of a workflow."""
    steps = [step for job in parsed(path)["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


def check_names() -> set[str]:
    """Return the names that scripts/check accepts."""
    return set(re.findall(r"^    (\w+)\) ", (ROOT / "scripts/check").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_file_exists_and_is_not_empty(name: str) -> None:
    assert (ROOT / name).read_text().strip()


def test_the_licence_matches_every_package_file() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0" in text
    for name in ("pyproject.toml", "clients/python/pyproject.toml"):
        assert tomllib.loads((ROOT / name).read_text())["project"]["license"] == "Apache-2.0"
    assert '"license": "Apache-2.0"' in (ROOT / "clients/javascript/package.json").read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_few_permissions_a_timeout_and_existing_scripts(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] > 0 for job in workflow["jobs"].values())
    called = [name for command in workflow_commands(path) for name in SCRIPT.findall(command)]
    assert called
    for name in called:
        assert (ROOT / name).stat().st_mode & 0o111, f"{name} is not executable"


def test_hosted_ci_runs_the_two_commands_unchanged() -> None:
    commands = workflow_commands(ROOT / ".github/workflows/ci.yml")
    assert {"./scripts/check", "./scripts/test"} <= set(commands)


def test_hooks_are_local_and_run_existing_checks() -> None:
    config = parsed(PRE_COMMIT)
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    for hook in config["repos"][0]["hooks"]:
        script, *names = shlex.split(hook["entry"])
        assert script == "./scripts/check"
        assert names
        assert set(names) <= check_names()
        assert hook["language"] == "system"


def test_an_unknown_check_is_rejected() -> None:
    done = subprocess.run(
        [ROOT / "scripts/check", "spelling"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "spelling" in done.stderr


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_an_issue_form_is_complete(path: Path) -> None:
    form = parsed(path)
    if path.name == "config.yml":
        assert form.keys() <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The version files of a consistent release."""
    for folder in ("clients/python", "clients/javascript"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("pyproject.toml", "clients/python/pyproject.toml"):
        (tmp_path / name).write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "clients/javascript/package.json").write_text('{"version": "1.2.0"}')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.0] - 2027-03-01\n\n## [1.1.0] - 2027-01-01\n")
    return tmp_path


def problems(checkout: Path, tag: str | None = None) -> list[str]:
    code = "import sys; from pathlib import Path; from lib.release import problems\n"
    code += "print(*problems(Path(sys.argv[1]), sys.argv[2] or None), sep='\\n')"
    done = subprocess.run(
        [RELEASE[0], "-c", code, str(checkout), tag or ""],
        cwd=ROOT / "scripts", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def test_a_consistent_checkout_can_be_released(checkout: Path) -> None:
    assert problems(checkout) == []
    assert problems(checkout, "v1.2.0") == []


def test_a_tag_of_another_version_is_rejected(checkout: Path) -> None:
    assert problems(checkout, "v1.3.0") == ["the tag is v1.3.0, expected v1.2.0"]


def test_a_client_with_another_version_is_rejected(checkout: Path) -> None:
    (checkout / "clients/javascript/package.json").write_text('{"version": "1.1.0"}')
    assert problems(checkout) == ["clients/javascript/package.json has the version 1.1.0, pyproject.toml has 1.2.0"]


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("## [1.1.0] - 2027-01-01", "the newest section of CHANGELOG.md is 1.1.0, expected 1.2.0 and its date"),
        ("## [1.2.0] - unreleased", "the section 1.2.0 of CHANGELOG.md has no date: write `## [1.2.0] - YYYY-MM-DD`"),
        ("nothing", "the newest section of CHANGELOG.md is none, expected 1.2.0 and its date"),
    ],
)
def test_a_changelog_must_begin_with_the_dated_version(checkout: Path, heading: str, expected: str) -> None:
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    assert problems(checkout) == [expected]
