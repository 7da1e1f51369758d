"""Environment variables that the code reads (found by parsing it), and their documentation in .env.example."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import env
from testing.process import ROOT

EXAMPLE = ROOT / ".env.example"
SECRET_NAME = re.compile(r"(SECRET|PASSWORD|_TOKEN|_KEY|^TOKEN)$|SECRET")
# Variables of the system, or of a program that the project starts.
FOREIGN = {"PATH", "APT_CONFIG", "DJANGO_SETTINGS_MODULE", "PROMETHEUS_MULTIPROC_DIR"}
NOT_CODE = {"tests", "testing", "bench", "node_modules"}
HELPERS = {
    name: inspect.signature(function)
    for name, function in vars(env).items()
    if inspect.isfunction(function) and name.startswith("env_")
}
DOCUMENTED_LINE = re.compile(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$")


@dataclass(frozen=True)
class Read:
    """One place that reads a variable. `default`: None without one; `name`: None if it is not a literal."""

    name: str | None
    default: str | None
    file: str
    line: int


@dataclass(frozen=True)
class Documented:
    """One entry of .env.example. `is_set`: its line is not commented out."""

    name: str
    default: str
    comment: str
    is_set: bool


def documented() -> dict[str, Documented]:
    """Return the entries of .env.example by name."""
    found: dict[str, Documented] = {}
    comment: list[str] = []
    for line in EXAMPLE.read_text().splitlines():
        entry = DOCUMENTED_LINE.match(line)
        if entry:
            assert entry[2] not in found, f"{entry[2]} is in .env.example twice"
            found[entry[2]] = Documented(entry[2], entry[3], " ".join(comment), not entry[1])
        comment = [*comment, line[2:]] if line.startswith("# ") and not line.startswith("# ---") else []
    return found


def reads() -> list[Read]:
    """Return every place in the code that reads one of the project's variables."""
    found = [read for path in code_files() for read in _Finder(path).reads()]
    return [read for read in found if read.name not in FOREIGN]


def code_files() -> Iterator[Path]:
    """Yield Python files, including those without a suffix in scripts/; no tests, no installed packages."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in NOT_CODE]
        for name in files:
            path = Path(folder) / name
            if path.suffix == ".py" or (path.parent.name == "scripts" and _is_python(path)):
                yield path


def _is_python(path: Path) -> bool:
    return "python" in path.read_text().partition("\n")[0]


class _Finder:
    """Finds the reads of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = str(path.relative_to(ROOT))
        self._tree = ast.parse(path.read_text())
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}

    def reads(self) -> Iterator[Read]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._of_call(node)
            elif isinstance(node, ast.Subscript) and _is_environment(node.value) and isinstance(node.ctx, ast.Load):
                yield from self._read(node, node.slice, None)

    def _of_call(self, call: ast.Call) -> Iterator[Read]:
        called = call.func
        arguments = call.args
        if isinstance(called, ast.Name) and called.id in HELPERS and self._file != "core/env.py":
            yield from self._read(call, arguments[0], self._helper_default(called.id, call))
        elif isinstance(called, ast.Attribute) and _is_environment(called.value):
            if called.attr in {"get", "pop", "setdefault"}:
                yield from self._read(call, arguments[0], arguments[1] if len(arguments) > 1 else None)
        elif isinstance(called, ast.Attribute) and called.attr == "getenv":
            yield from self._read(call, arguments[0], arguments[1] if len(arguments) > 1 else None)
        elif len(arguments) > 1 and _is_environment(arguments[0]) and isinstance(called, ast.Name):
            default = next((keyword.value for keyword in call.keywords if keyword.arg == "default"), None)
            yield from self._read(call, arguments[1], default)

    def _helper_default(self, helper: str, call: ast.Call) -> ast.expr | None:
        for keyword in call.keywords:
            if keyword.arg == "default":
                return keyword.value
        if len(call.args) > 1:
            return call.args[1]
        own = HELPERS[helper].parameters.get("default")
        return None if own is None or own.default is inspect.Parameter.empty else ast.Constant(own.default)

    def _read(self, node: ast.expr, name: ast.expr, default: ast.expr | None) -> Iterator[Read]:
        if isinstance(name, ast.Constant):
            parent = self._parents[node]
            is_secret = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "env_secret"
            if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.Or) and not is_secret:
                default = parent.values[-1]
            yield Read(str(name.value), self._text(default), self._file, node.lineno)
        elif isinstance(name, ast.JoinedStr) and isinstance(node, ast.Call):
            yield from self._of_table(node, name)
        elif not self._is_parameter(name):
            yield Read(None, None, self._file, node.lineno)

    def _of_table(self, call: ast.Call, name: ast.JoinedStr) -> Iterator[Read]:
        """Evaluate a comprehension over a table of names and (default, …), as the code does."""
        node: ast.AST = call
        while not isinstance(node, (ast.DictComp, ast.ListComp, ast.GeneratorExp)):
            node = self._parents[node]
        row = ast.Tuple([name, *call.args[2:]], ast.Load())
        for variable, default, *_ in self._value(ast.ListComp(row, node.generators)):
            yield Read(variable, _as_text(default), self._file, call.lineno)

    def _is_parameter(self, name: ast.expr) -> bool:
        """Return whether the name is a parameter: the call of the function is found separately."""
        node: ast.AST | None = name
        while node is not None and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node = self._parents.get(node)
        return isinstance(name, ast.Name) and node is not None and name.id in {arg.arg for arg in node.args.args}

    def _text(self, default: ast.expr | None) -> str | None:
        # A script's default is for the processes that it starts, not a default of the product.
        is_script = self._file.startswith("scripts/")
        return None if default is None or is_script else _as_text(self._value(default))

    def _value(self, expression: ast.expr) -> Any:
        if isinstance(expression, ast.Constant):
            return expression.value
        module = ".".join(self._path.relative_to(ROOT).with_suffix("").parts)
        code = compile(ast.fix_missing_locations(ast.Expression(expression)), self._file, "eval")
        return eval(code, vars(importlib.import_module(module)))


def _is_environment(node: ast.expr) -> bool:
    is_parameter = isinstance(node, ast.Name) and node.id == "environment"
    return is_parameter or (isinstance(node, ast.Attribute) and node.attr == "environ")


def _as_text(value: object) -> str:
    """Return a default as written in a file: paths relative to the repository root, flags as 1 and 0."""
    if isinstance(value, bool):
        return str(int(value))
    return str(value).replace(f"{ROOT}/", "")
