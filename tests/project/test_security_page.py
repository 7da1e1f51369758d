"""docs/security.md: every test that it names exists, and it lists every requirement of ASVS 5.0 levels 1 and 2."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from testing.process import ROOT

PAGE = ROOT / "docs/security.md"
TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| v5.0.0-")
]
# OWASP ASVS 5.0.0: number of requirements per section, and those of level 3 only.
SECTIONS: dict[str, tuple[int, set[int]]] = {
    "1.1": (2, set()), "1.2": (10, {10}), "1.3": (12, {12}), "1.4": (3, set()), "1.5": (3, {3}),
    "2.1": (3, set()), "2.2": (3, set()), "2.3": (5, {5}), "2.4": (2, {2}),
    "3.1": (1, {1}), "3.2": (3, {3}), "3.3": (5, {5}), "3.4": (8, {7, 8}), "3.5": (8, {6, 7, 8}), "3.6": (1, {1}),
    "3.7": (5, {3, 4, 5}), "4.1": (5, {4, 5}), "4.2": (5, {2, 3, 4, 5}), "4.3": (2, set()), "4.4": (4, set()),
    "5.1": (1, set()), "5.2": (6, {4, 5, 6}), "5.3": (3, {3}), "5.4": (3, set()),
    "6.1": (3, set()), "6.2": (12, set()), "6.3": (8, {5, 6, 7, 8}), "6.4": (6, {5, 6}), "6.5": (8, {6, 7, 8}),
    "6.6": (4, {4}), "6.7": (2, {1, 2}), "6.8": (4, set()),
    "7.1": (3, set()), "7.2": (4, set()), "7.3": (2, set()), "7.4": (5, set()), "7.5": (3, {3}), "7.6": (2, set()),
    "8.1": (4, {3, 4}), "8.2": (4, {4}), "8.3": (3, {2, 3}), "8.4": (2, {2}), "9.1": (3, set()), "9.2": (4, set()),
    "10.1": (2, set()), "10.2": (3, {3}), "10.3": (5, {5}), "10.4": (16, {12, 13, 14, 15, 16}), "10.5": (5, set()),
    "10.6": (2, set()), "10.7": (3, set()),
    "11.1": (4, {3, 4}), "11.2": (5, {4, 5}), "11.3": (5, {4, 5}), "11.4": (4, set()), "11.5": (2, {2}),
    "11.6": (2, {2}), "11.7": (2, {1, 2}), "12.1": (5, {4, 5}), "12.2": (2, set()), "12.3": (5, {5}),
    "13.1": (4, {2, 3, 4}), "13.2": (6, {6}), "13.3": (4, {3, 4}), "13.4": (7, {6, 7}),
    "14.1": (2, set()), "14.2": (8, {5, 6, 7, 8}), "14.3": (3, set()),
    "15.1": (5, {4, 5}), "15.2": (5, {4, 5}), "15.3": (7, set()), "15.4": (4, {1, 2, 3, 4}),
    "16.1": (1, set()), "16.2": (5, set()), "16.3": (4, set()), "16.4": (3, set()), "16.5": (4, {4}),
    "17.1": (2, {2}), "17.2": (8, {5, 6, 7, 8}), "17.3": (2, set()),
}  # fmt: skip
ALL = {f"{section}.{number}" for section, (count, _) in SECTIONS.items() for number in range(1, count + 1)}
LEVEL_3 = {f"{section}.{number}" for section, (_, alone) in SECTIONS.items() for number in alone}


@cache
def names_of(path: Path) -> set[str]:
    """Return the names of the test functions of a module."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {node.name for node in functions if node.name.startswith("test_")}


def listed() -> list[str]:
    """Return the requirements of all rows, without the version; `10.*` is the whole chapter."""
    found: list[str] = []
    for row in ROWS:
        for name in row[0].split(", "):
            number = name.removeprefix("v5.0.0-")
            chapter = number.removesuffix("*")
            found += sorted(item for item in ALL if item.startswith(chapter)) if number.endswith("*") else [number]
    return found


def test_the_page_names_tests_and_requirements() -> None:
    assert len(NAMED) > 80
    assert len(ROWS) > 100
    assert {len(row) for row in ROWS} == {4}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_named_test_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), path
    assert name in names_of(ROOT / path)


def test_each_requirement_of_levels_1_and_2_is_listed_once() -> None:
    found = listed()
    assert set(found) <= ALL
    assert ALL - LEVEL_3 - set(found) == set()
    assert len(found) == len(set(found)), sorted(name for name in found if found.count(name) > 1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_names_a_test_a_page_or_a_reason(row: list[str]) -> None:
    shown_by = row[3]
    pages = re.findall(r"\[[^\]]+\]\(([^)]+)\)", shown_by)
    if shown_by.startswith("written: "):
        assert pages
        assert all((PAGE.parent / page).is_file() for page in pages)
    elif not shown_by.startswith(("not met: ", "does not apply: ")):
        assert re.fullmatch(r"`tests/[\w/]+\.py::\w+`(, `tests/[\w/]+\.py::\w+`)*", shown_by)


def test_the_policy_says_how_to_report() -> None:
    policy = (ROOT / "SECURITY.md").read_text()
    assert "Report a vulnerability" in policy
    assert "docs/security.md" in policy
