"""Imports follow docs/architecture.md, which names every package and module. The test imports nothing."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from testing.process import ROOT

DOCUMENT = (ROOT / "docs/architecture.md").read_text()
CORE = {"core", "telemetry"}
AUTH = {*CORE, "auth_app"}
DEVICES = {*AUTH, "devices_app"}
HISTORY = {*DEVICES, "history_app"}
LIVE = {*HISTORY, "live_app"}
SCHEMA = {*LIVE, "schema_app"}
MAY_IMPORT: Mapping[str, set[str]] = {
    "telemetry": {"telemetry"},
    "core": CORE,
    "auth_app": AUTH,
    "devices_app": DEVICES,
    "history_app": HISTORY,
    "live_app": LIVE,
    "schema_app": SCHEMA,
    "dashboard": {*LIVE, "dashboard"},
    "asgi_project": {*SCHEMA, "dashboard", "asgi_project"},
    "rollup": {"telemetry", "rollup"},
    "writer": {"telemetry", "rollup", "writer"},
    "simulator": {"telemetry", "writer", "simulator"},
}
WITHOUT_DJANGO = (
    "telemetry", "rollup", "writer", "simulator", "history_app.planning", "history_app.energy.rules",
    "live_app.delivery.protocol",
)  # fmt: skip
LONGEST_CHAIN = 9


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in tracked("*.py")}
PACKAGES = {name.partition(".")[0] for name in MODULES if "." in name}


def imported(nodes: Iterator[ast.AST]) -> Iterator[tuple[str, int]]:
    """Yield the imports of these nodes with their lines: the imported module, or the module that contains the name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield (name if name in MODULES else node.module), node.lineno


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run on import of the module."""
    for child in ast.iter_child_nodes(node):
        is_types_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not is_types_only:
            yield child
            yield from executed(child)


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse((ROOT / MODULES[name]).read_text())


@cache
def chain_from(name: str) -> tuple[str, ...]:
    """Return the longest chain of imports that starts with a module."""
    targets = {target for target, _ in imported(executed(tree_of(name))) if target in MODULES and target != name}
    return (name, *max((chain_from(target) for target in targets), key=len, default=()))


def production() -> list[str]:
    return [name for name in MODULES if name.partition(".")[0] in MAY_IMPORT]


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_lower_layers(package: str) -> None:
    upward = [
        f"{MODULES[name]}:{line} imports {target}"
        for name in production() if name.partition(".")[0] == package
        for target, line in imported(ast.walk(tree_of(name)))
        if target.partition(".")[0] in PACKAGES - MAY_IMPORT[package]
    ]  # fmt: skip
    assert upward == []


def test_pure_modules_do_not_import_django() -> None:
    found = [
        f"{MODULES[name]}:{line} imports {target}"
        for name in production() if f"{name}.".startswith(tuple(f"{pure}." for pure in WITHOUT_DJANGO))
        for target, line in imported(ast.walk(tree_of(name)))
        if target.partition(".")[0] in {"django", "channels", "rest_framework"}
    ]  # fmt: skip
    assert found == []


def test_the_architecture_names_every_package() -> None:
    packages = {name.rpartition(".")[0] for name in MODULES if "." in name}
    parts = {part for part in packages if not re.search(r"\b(migrations|management)\b", part)}
    within = ("tests.", "bench.peers.", "scripts.lib.", "clients.")
    named = set(re.findall(r"`([a-z_.]+)`", DOCUMENT))
    assert {part for part in parts if not part.startswith(within)} - named == set()


def test_the_architecture_names_only_existing_packages() -> None:
    named = set(re.findall(r"^\| (.+?) \|", DOCUMENT, re.MULTILINE))
    packages = {name for cell in named for name in re.findall(r"`([a-z_.]+)`", cell)}
    assert {name for name in packages if not (ROOT / name.replace(".", "/")).is_dir()} == set()


def modules_in_the_document() -> set[str]:
    """The modules in the rows `| `package` | `module` purpose, … |` of the section "Modules"."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", DOCUMENT.partition("## Modules")[2], re.MULTILINE)
    return {f"{package}.{name}" for package, cell in rows for name in re.findall(r"`([a-z_.]+)`", cell)}


def test_the_architecture_names_every_module_and_no_other() -> None:
    packages = {name.rpartition(".")[0] for name in MODULES}
    named_by_django = {"apps", "admin", "urls"}
    modules = {
        name for name in MODULES
        if "." in name and name not in packages and MODULES[name].stem != "__init__"
        and not name.startswith(("tests.", "clients.", "bench.peers."))
        and ".migrations." not in name and name.rpartition(".")[2] not in named_by_django
    }  # fmt: skip
    assert modules_in_the_document() == modules


def test_a_class_name_has_one_meaning() -> None:
    """Except for the names that Django prescribes, and for clients and peers, which share nothing with the server."""
    places: dict[str, list[str]] = {}
    for name in MODULES:
        if not name.startswith(("tests.", "clients.", "bench.peers.")):
            for node in ast.walk(tree_of(name)):
                if isinstance(node, ast.ClassDef) and node.name not in {"Command", "Migration", "Meta"}:
                    places.setdefault(node.name, []).append(name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_import_chains_are_bounded() -> None:
    longest = max((chain_from(name) for name in production()), key=len)
    assert len(longest) <= LONGEST_CHAIN, " > ".join(longest)
