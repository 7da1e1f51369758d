"""Virtual environments: created with or without ensurepip, filled from a lock file, unchanged if up to date."""

import hashlib
import importlib.util
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lib.console import ScriptError, run, step
from lib.paths import LOCAL, shown

STAMP = ".wattstream-installed"
PIP_FOLDER = LOCAL / "pip"
# Debian's pip trusts only the certificates in this file; a bare machine does not have it.
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
OWN_CERTIFICATES = PIP_FOLDER / "ca-certificates.crt"


def digest(files: Sequence[Path]) -> str:
    """Return a digest of an installation's inputs: the files' content, the Python version and architecture."""
    content = hashlib.sha256(f"{platform.python_version()} {platform.machine()}".encode())
    for file in files:
        content.update(file.read_bytes())
    return content.hexdigest()


def is_current(venv: Path, wanted: str) -> bool:
    """Return whether the environment was filled from these lock files by this Python and still runs."""
    stamp = venv / STAMP
    return stamp.exists() and wanted in stamp.read_text().split() and (venv / "bin/python").exists()


def install(
    venv: Path,
    locks: Sequence[Path],
    *,
    title: str,
    also: Sequence[str] = (),
    then: Callable[[], None] = lambda: None,
) -> bool:
    """Fill the environment from the lock files. Return whether anything changed.

    `also`: digests of smaller sets that this one contains, so that installing those later does nothing.
    `then`: called after the packages are installed.
    """
    wanted = digest(locks)
    if is_current(venv, wanted):
        return False
    make(venv)
    (venv / STAMP).unlink(missing_ok=True)
    names = " and ".join(shown(lock) for lock in locks)
    files = [part for lock in locks for part in ("-r", str(lock))]
    with step(title):
        pip_install(venv, "--require-hashes", "--no-deps", *files, what=names)
    then()
    (venv / STAMP).write_text("\n".join([wanted, *also]) + "\n")
    return True


def pip_install(venv: Path, *arguments: str, what: str) -> None:
    """Run pip install in the environment; `what` names the packages in an error message."""
    command = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    failing = f"pip could not install {what}; check the network and pip's configuration and run again."
    run([*command, *arguments], failing=failing)


def make(venv: Path) -> None:
    """Create the environment, or replace it if it belongs to another Python or is incomplete."""
    if is_usable(venv):
        return
    pip_here = importlib.util.find_spec("ensurepip") is not None
    with step(f"creating {shown(venv)}"):
        command = [sys.executable, "-m", "venv", "--clear", *([] if pip_here else ["--without-pip"]), venv]
        run(command, failing=f"python3 could not create {shown(venv)}; check that its folder is yours and has room.")
    if not pip_here:
        bootstrap_pip(venv)


def is_usable(venv: Path) -> bool:
    """Whether the environment runs this very Python version and has pip."""
    probe = "import pip, platform; print(platform.python_version())"
    try:
        found = subprocess.run([venv / "bin/python", "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return found.stdout.strip() == platform.python_version()


def bootstrap_pip(venv: Path) -> None:
    """Install the pip of Debian's package into the environment: Debian's python3 lacks ensurepip."""
    from lib.machine import debian  # only these machines need apt

    otherwise = "install python3-venv with apt-get and run again."
    try:
        debian.install(["python3-pip-whl", "ca-certificates"], PIP_FOLDER, release=debian.own_release())
    except ScriptError as error:
        raise ScriptError(f"This python3 has no pip and {error}; {otherwise}", error.details) from error
    # The machine's own if it has the package: apt then fetched none.
    folders = [PIP_FOLDER / "usr", Path("/usr")]
    wheel = next((file for folder in folders for file in folder.glob("share/python-wheels/pip-*.whl")), None)
    if wheel is None:
        raise ScriptError(f"Debian's python3-pip-whl holds no pip; {otherwise}")
    packages = next(venv.glob("lib/python3*/site-packages"))
    zipfile.ZipFile(wheel).extractall(packages)
    if not SYSTEM_CERTIFICATES.exists():
        bring_certificates(packages)


def bring_certificates(packages: Path) -> None:
    """Make pip trust the certificates of Debian's package: the file that it expects is not on this machine."""
    trusted = sorted(PIP_FOLDER.glob("usr/share/ca-certificates/mozilla/*.crt"))
    OWN_CERTIFICATES.write_text("".join(file.read_text() for file in trusted))
    where = packages / "pip/_vendor/certifi/core.py"
    where.write_text(where.read_text().replace(str(SYSTEM_CERTIFICATES), str(OWN_CERTIFICATES)))
