"""Debian packages without root: found and verified by apt with a private state, unpacked into a folder.

Nothing on the machine changes: apt gets its own lists, cache, status and configuration. It takes from the machine the
addresses of the mirrors, the keyring for their signatures, and the network settings (proxies).
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from lib.console import ScriptError, run, step
from lib.machine import sources
from lib.paths import LOCAL

ETC_APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
KEYRINGS = [Path("/usr/share/keyrings") / f"debian-archive-keyring.{ending}" for ending in ("pgp", "gpg")]
MACHINE_STATUS = Path("/var/lib/dpkg/status")
NETWORK_OPTIONS = ("Acquire::http", "Acquire::https", "Acquire::ForceIPv", "Acquire::Retries")

CONFIGURATION = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Dir::Etc::main "-";
Dir::Etc::parts "-";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "2";
Acquire::http::Timeout "15";
Debug::NoLocking "true";
"""
STUB = """\
Package: {name}
Status: install ok installed
Architecture: {architecture}
Version: 9999:9999
Multi-Arch: foreign
Maintainer: nobody
Description: left out

"""


def own_release() -> str:
    """Return the code name of the Debian release that this machine runs or is derived from."""
    lines = OS_RELEASE.read_text().splitlines() if OS_RELEASE.exists() else []
    fields = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    if fields.get("ID") == "debian" or fields.get("DEBIAN_CODENAME"):
        return fields.get("DEBIAN_CODENAME") or fields.get("VERSION_CODENAME", "")
    raise ScriptError(f"this machine runs {fields.get('PRETTY_NAME', 'no Linux that says its name')} and not Debian")


class PrivateApt:
    """apt with a private state in `folder`, for one release of Debian.

    `assumed`: packages to treat as installed, or None for the packages installed on this machine.
    """

    def __init__(self, folder: Path, release: str, assumed: Iterable[str] | None = None) -> None:
        self.folder = folder
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        architecture = run(["dpkg", "--print-architecture"], failing="this machine has no dpkg").strip()
        if assumed is None:
            shutil.copyfile(MACHINE_STATUS, folder / "status")
        else:
            (folder / "status").write_text("".join(stub(name, architecture) for name in assumed))
        (folder / "sources.list").write_text(source_lines(release))
        settings = CONFIGURATION.format(folder=folder, architecture=architecture)
        (folder / "apt.conf").touch(mode=0o600)  # a proxy URL may contain a password
        (folder / "apt.conf").write_text(settings + network_settings())

    def download(self, packages: Iterable[str]) -> list[Path]:
        """Fetch the packages and everything they depend on that is not installed; returns the .deb files."""
        with step("reading Debian's package lists"):
            self.apt_get("update", failing="Debian's mirror cannot be read")
            if not any(self.folder.glob("state/lists/*_Packages*")):  # apt only warns if it reached no mirror
                raise ScriptError("Debian's mirror cannot be reached")
        self.apt_get("autoclean", failing="apt cannot clear out old downloads")  # left by an interrupted run
        wanted = ["install", "--yes", "--download-only", *packages]
        with step("downloading Debian packages"):
            self.apt_get(*wanted, failing=f"Debian has not all of {', '.join(packages)} for this machine")
        return sorted(self.folder.glob("cache/archives/*.deb"))

    def apt_get(self, *arguments: str, failing: str) -> str:
        """Run apt-get on this state."""
        environment = os.environ | {"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}
        return run(["apt-get", "-qq", *arguments], failing=failing, env=environment)


def stub(name: str, architecture: str) -> str:
    """Return a status entry that makes apt treat a package as installed in any version."""
    return STUB.format(name=name, architecture=architecture)


def source_lines(release: str) -> str:
    """The sources.list of a release: this machine's own mirrors, verified with this machine's own keyring."""
    keyring = next((file for file in KEYRINGS if file.exists()), None)
    if keyring is None:
        raise ScriptError("this machine has no Debian archive keyring")
    suites = sources.for_release(sources.read_sources(ETC_APT), own=own_release(), wanted=release)
    if not suites:
        raise ScriptError("apt's sources on this machine name no Debian mirror")
    return "".join(f"deb [signed-by={keyring}] {uri} {suite} main\n" for uri, suite in suites)


def network_settings() -> str:
    """Return the network settings of the machine's apt: proxies, certificates, retries."""
    dump = run(["apt-config", "dump", "--format", '%F "%v";%n'], failing="this machine has no apt")
    return "".join(f"{line}\n" for line in dump.splitlines() if line.startswith(NETWORK_OPTIONS) and '""' not in line)


def install(
    packages: Iterable[str],
    into: Path,
    *,
    release: str,
    assumed: Iterable[str] | None = None,
    but: tuple[str, ...] = (),
) -> None:
    """Unpack packages and their dependencies into a folder, except those whose name begins with `but`.

    An interrupted download is resumed. The downloaded files are removed once everything is unpacked.
    """
    cache = LOCAL / "apt" / into.name
    debs = PrivateApt(cache, release, assumed).download(packages)
    into.mkdir(parents=True, exist_ok=True)
    with step(f"unpacking {len(debs)} packages"):
        for deb in debs:
            if not deb.name.startswith(but):
                run(["dpkg-deb", "--extract", deb, into], failing=f"dpkg-deb could not unpack {deb.name}")
    shutil.rmtree(cache)
