"""./scripts/sbom: valid CycloneDX that lists exactly the locked packages of the image with the hashes of the lock."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from testing.process import ROOT

LOCK = (ROOT / "requirements/server.lock").read_text()
NOT_ON_LINUX_CPYTHON = re.findall(r"^([a-z0-9-]+)==\S+ ; .*(?:PyPy|!= 'CPython'|< '3\.1[12])", LOCK, re.MULTILINE)


@pytest.fixture(scope="module")
def text() -> str:
    done = subprocess.run([ROOT / "scripts/sbom"], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def components(text: str) -> dict[str, dict[str, Any]]:
    return {component["purl"]: component for component in json.loads(text)["components"]}


def test_the_output_is_valid_cyclonedx(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"hashes"', '"hash"')) is not None


def test_the_output_lists_exactly_the_locked_packages(components: dict[str, dict[str, Any]]) -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE))
    listed = {component["name"] for purl, component in components.items() if purl.startswith("pkg:pypi/")}
    assert listed <= locked
    assert locked - listed <= set(NOT_ON_LINUX_CPYTHON), "missing although the image contains it"
    npm = json.loads((ROOT / "dashboard/package-lock.json").read_text())["packages"]
    wanted = {
        f"pkg:npm/{path.removeprefix('node_modules/')}@{package['version']}"
        for path, package in npm.items()
        if path and not package.get("dev")
    }
    assert {purl for purl in components if purl.startswith("pkg:npm/")} == wanted


def test_versions_match_the_installed_packages(components: dict[str, dict[str, Any]]) -> None:
    for purl in components:
        kind, _, rest = purl.removeprefix("pkg:").partition("/")
        name, _, version = rest.partition("@")
        if kind == "pypi" and name != "numpy":  # the lock has another version for Python 3.11
            assert importlib.metadata.version(name) == version


def test_each_component_has_the_hashes_of_the_lock(components: dict[str, dict[str, Any]]) -> None:
    counted = 0
    for purl, component in components.items():
        assert component["hashes"], purl
        for found in component["hashes"]:
            if purl.startswith("pkg:pypi/"):
                assert (found["alg"], f"sha256:{found['content']}" in LOCK) == ("SHA-256", True), purl
                counted += 1
    assert counted > len(components)


def test_the_product_depends_on_each_component(text: str, components: dict[str, dict[str, Any]]) -> None:
    graph = {item["ref"]: set(item.get("dependsOn", [])) for item in json.loads(text)["dependencies"]}
    assert graph["wattstream"] == components.keys()
