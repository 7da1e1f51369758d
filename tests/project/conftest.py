"""The image's file tree as the Dockerfile builds it, and servers that run in it as compose.yaml starts them."""

from __future__ import annotations

import fnmatch
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.process import ROOT
from tests.project.deployment import dockerfile


@pytest.fixture(scope="session")
def image() -> Iterator[Path]:
    """A folder with exactly the files that COPY and RUN put into /app. Servers in it cannot use any other file."""
    with tempfile.TemporaryDirectory(prefix="wattstream-image-") as folder:
        app = Path(folder) / "app"
        app.mkdir()
        for instruction in dockerfile():
            is_last = instruction.stage == dockerfile()[-1].stage
            if instruction.name == "COPY" and is_last and not instruction.value.startswith("--from"):
                *sources, target = instruction.words
                for source in sources:
                    _copy(source, app / target, into_folder=target.endswith("/"))
        # scripts/install fills this folder as the stage with `npm ci` does: from the same lock.
        shutil.copytree(ROOT / "dashboard/node_modules", app / "dashboard/node_modules")
        _collect_static(app)
        yield app


def _copy(source: str, target: Path, *, into_folder: bool) -> None:
    assert reaches_build(source), f".dockerignore keeps {source} from the build"
    path = ROOT / source
    if path.is_dir():
        shutil.copytree(path, target, ignore=_kept_out)
    else:
        shutil.copy2(path, target / path.name if into_folder else target)


def _kept_out(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not reaches_build(str((Path(folder) / name).relative_to(ROOT)))}


def reaches_build(path: str) -> bool:
    """Return whether the build context contains the path: the last matching pattern of .dockerignore decides."""
    parents = [path, *map(str, Path(path).parents)]
    is_kept = True
    for pattern in (ROOT / ".dockerignore").read_text().split("\n"):
        wanted, is_exception = pattern.removeprefix("!"), pattern.startswith("!")
        if not wanted or wanted.startswith("#"):
            continue
        if any(_fits(candidate, wanted) for candidate in parents):
            is_kept = is_exception
    return is_kept


def _fits(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatchcase(part, pattern[3:]) for part in Path(path).parts)
    # A star does not match a slash, but files in a matching folder are excluded too.
    return path.count("/") == pattern.count("/") and path != "." and fnmatch.fnmatchcase(path, pattern)


def _collect_static(app: Path) -> None:
    """Run the command of the build in the copy, with the image's settings."""
    command = next(item.value for item in dockerfile() if item.name == "RUN" and "collectstatic" in item.value)
    words = command.partition(" && ")[0].replace("python ", f"{shlex.quote(sys.executable)} ")
    subprocess.run(
        ["sh", "-c", words], cwd=app, env={"PATH": "/usr/bin:/bin", "STATIC_ROOT": str(app / ".static")},
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
