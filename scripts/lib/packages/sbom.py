"""The software bill of materials: the image's third-party packages, from the lock files, with their hashes.

Run by scripts/sbom with .venv's Python, as it needs cyclonedx-python-lib.
"""

import argparse
import base64
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import Marker

from lib.paths import DASHBOARD, LOCKS, ROOT

ABOUT = """\
Print what the image holds of others as CycloneDX 1.6 JSON: the Python packages of requirements/server.lock and the npm
packages of dashboard/package-lock.json, each with its version, package URL and the hashes of its files.

  ./scripts/sbom > wattstream.cdx.json"""
PACKAGE = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$", re.MULTILINE
)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# The Python of the Dockerfile's base image: it decides markers such as python_full_version < '3.12'.
IMAGE = {
    "python_version": "3.13", "python_full_version": "3.13.0", "implementation_name": "cpython",
    "platform_python_implementation": "CPython", "sys_platform": "linux", "platform_system": "Linux",
    "os_name": "posix",
}  # fmt: skip


def main() -> int:
    """Print the bill of materials."""
    argparse.ArgumentParser(
        prog="scripts/sbom", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(JsonV1Dot6(bill_of_materials()).output_as_string(indent=2))
    return 0


def bill_of_materials() -> Bom:
    """wattstream itself, which depends on every component."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = Component(
        type=ComponentType.APPLICATION, name=project["name"], version=project["version"], bom_ref=project["name"]
    )
    components = [*python_components(LOCKS / "server.lock"), *npm_components(DASHBOARD / "package-lock.json")]
    bom = Bom(components=components)
    bom.metadata.component = own
    bom.register_dependency(own, components)
    return bom


def python_components(lock: Path) -> Iterator[Component]:
    """The packages of a lock file that its markers put into the image."""
    text = lock.read_text()
    starts = list(PACKAGE.finditer(text))
    for found, following in zip(starts, [*starts[1:], None], strict=True):
        if found["marker"] and not Marker(found["marker"]).evaluate(IMAGE):
            continue
        files = HASH.findall(text[found.end() : following.start() if following else len(text)])
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in files]
        yield component("pypi", found["name"], found["version"], hashes)


def npm_components(lock: Path) -> Iterator[Component]:
    """The packages of package-lock.json."""
    for path, package in json.loads(lock.read_text())["packages"].items():
        if not path or package.get("dev"):
            continue  # the project itself, and packages that the image does not contain
        algorithm, _, digest = package["integrity"].partition("-")
        assert algorithm == "sha512", path
        content = base64.b64decode(digest).hex()
        name = path.rpartition("node_modules/")[2]
        yield component("npm", name, package["version"], [HashType(alg=HashAlgorithm.SHA_512, content=content)])


def component(kind: str, name: str, version: str, hashes: list[HashType]) -> Component:
    """A library, known by its package URL."""
    url = PackageURL(kind, name=name, version=version)
    return Component(
        type=ComponentType.LIBRARY, name=name, version=version, purl=url, bom_ref=url.to_string(), hashes=hashes
    )


if __name__ == "__main__":
    raise SystemExit(main())
