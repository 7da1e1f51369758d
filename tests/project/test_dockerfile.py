"""The Dockerfile: copied files exist and suffice, it contains no secret, and the image does not run as root."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from django.conf import settings

from testing.process import ROOT, Process
from testing.stack import Stack
from tests.project.conftest import reaches_build
from tests.project.deployment import SERVICES, dockerfile, image_environment
from tests.project.variables import SECRET_NAME

pytestmark = pytest.mark.processes

INSTRUCTIONS = dockerfile()
LAST = INSTRUCTIONS[-1].stage
KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "CMD"}
LOCKED = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/server.lock").read_text(), re.MULTILINE))


def values(name: str, stage: int | None = None) -> list[str]:
    return [item.value for item in INSTRUCTIONS if item.name == name and stage in (None, item.stage)]


def test_every_instruction_is_known() -> None:
    assert {item.name for item in INSTRUCTIONS} <= KNOWN
    assert INSTRUCTIONS[0].name == "FROM"


@pytest.mark.parametrize("base", values("FROM"))
def test_base_images_have_a_version_and_no_registry(base: str) -> None:
    image = base.split()[0]
    assert re.fullmatch(r"[a-z]+:[0-9]+(\.[0-9]+)?(-[a-z]+)+", image), image


def test_the_image_has_a_supported_python() -> None:
    version = re.match(r"python:3\.(\d+)-slim", values("FROM")[LAST])
    assert version
    assert int(version[1]) >= 11
    assert "node:22-" in values("FROM")[0], "requirements/node.lock has another Node.js"


@pytest.mark.parametrize("copied", values("COPY"))
def test_copied_files_exist_and_reach_the_build(copied: str) -> None:
    *sources, _ = copied.split()
    if sources[0].startswith("--from="):
        stages = {value.split(" AS ")[1] for value in values("FROM") if " AS " in value}
        assert sources[0].removeprefix("--from=") in stages
        return
    for source in sources:
        assert (ROOT / source).exists(), source
        assert reaches_build(source), f".dockerignore keeps {source} from the build"


@pytest.mark.parametrize(
    "path", [".env", ".git/config", ".local/x", "wattstream.sqlite3", "tests/conftest.py", "dashboard/node_modules/x"]
)
def test_private_files_do_not_reach_the_build(path: str) -> None:
    assert not reaches_build(path)


def test_packages_are_locked_and_their_hashes_checked() -> None:
    (install,) = [value for value in values("RUN") if "pip install" in value]
    assert "--require-hashes" in install
    assert "--no-deps" in install
    assert install.split("-r ")[1].startswith("/tmp/server.lock")
    assert any("npm ci --ignore-scripts" in value for value in values("RUN"))


def test_the_image_does_not_run_as_root() -> None:
    user = values("USER", LAST)[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "numeric, so that a cluster can verify it"


def test_the_image_contains_no_secret() -> None:
    assert not [name for name in image_environment() if SECRET_NAME.search(name)]
    assert not values("ARG")


def test_its_command_is_that_of_the_server() -> None:
    assert values("CMD", LAST) == [str(SERVICES["server"]["command"]).replace("'", '"')]


def test_the_lock_contains_the_imports_of_all_modules_in_the_image(image: Path) -> None:
    packages = importlib.metadata.packages_distributions()
    own = {path.name for path in image.iterdir()}
    for path in image.rglob("*.py"):
        if "node_modules" in path.parts:
            continue
        for module in imported(path) - sys.stdlib_module_names - own:
            names = {name.lower().replace("_", "-") for name in packages.get(module, [])}
            # NumPy is only for the simulator.
            assert names & LOCKED, f"{path.relative_to(image)} imports {module}"


def imported(path: Path) -> set[str]:
    """Return the top-level names of the modules that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_static_files_include_the_chart_library(image: Path) -> None:
    assert list((image / ".static/vendor/uplot").glob("uPlot*.js"))
    assert settings.INSTALLED_APPS.count("dashboard")
    assert list((image / ".static/dashboard").iterdir())
    assert (image / ".static/wattstream-client/index.js").exists()


def test_the_server_writes_nothing_into_its_image(image: Path, stack: Stack, tmp_path: Path) -> None:
    before = snapshot(image)
    environment = {**stack.env, "STATIC_ROOT": str(image / ".static"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["env", "--chdir", str(image), sys.executable, "-m", "asgi_project.server.serve", "--port", "{port}"]
    with Process(command, env=environment, log=tmp_path / "server.log"):
        assert snapshot(image) == before, "this would fail on a read-only file system"
    assert image_environment()["STATIC_ROOT"] == "/app/.static"


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return time of change and size by path."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}
