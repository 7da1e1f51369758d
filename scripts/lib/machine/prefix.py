"""PostgreSQL with TimescaleDB and Redis from Debian 13, unpacked into a folder and made to run from there.

The folder holds its own C library, so it works on an older and on a newer Debian alike. It cannot be moved: the
binaries name it.
"""

import hashlib
import shutil
from pathlib import Path

from lib.console import ScriptError, locked, run, step
from lib.machine import debian

RELEASE = "trixie"
PACKAGES = ["postgresql-17", "postgresql-17-timescaledb", "redis-server", "patchelf"]
# Dependencies that a server run from a folder does not need: tools that set a system up, time zones
# and terminal settings that the machine has itself, and 120 MB of compiler for the JIT, which is off.
LEFT_OUT = [
    "adduser",
    "base-passwd",
    "debconf",
    "init-system-helpers",
    "libc-bin",
    "libllvm19",
    "libpam-modules",
    "libpam-runtime",
    "libsasl2-modules-db",
    "libuuid1",
    "libxslt1.1",
    "locales",
    "netbase",
    "passwd",
    "perl",
    "perl-base",
    "postgresql-client-common",
    "postgresql-common",
    "readline-common",
    "sensible-utils",
    "ssl-cert",
    "sysvinit-utils",
    "tzdata",
    "ucf",
]
UNUSED = ["usr/share/locale", "usr/share/doc", "usr/share/man", "usr/lib/postgresql/17/lib/bitcode"]
POSTGRES_BIN = "usr/lib/postgresql/17/bin"
PROGRAMS = [
    f"{POSTGRES_BIN}/initdb",
    f"{POSTGRES_BIN}/postgres",
    f"{POSTGRES_BIN}/psql",
    f"{POSTGRES_BIN}/pg_dump",
    f"{POSTGRES_BIN}/pg_restore",
    "usr/bin/redis-server",
]


def prepare(prefix: Path) -> None:
    """Ensure that the programs are there; rebuild what a killed run left incomplete."""
    stamp = prefix / "complete"
    recipe = hashlib.sha256(repr((prefix, RELEASE, PACKAGES, LEFT_OUT, UNUSED, PROGRAMS)).encode()).hexdigest()
    with locked(prefix.with_suffix(".lock")):
        if stamp.exists() and stamp.read_text() == recipe:
            return
        try:
            build(prefix)
        except ScriptError as error:
            raise ScriptError(f"TimescaleDB and Redis cannot run here, {error}: use `docker compose up`.") from error
        stamp.write_text(recipe)


def build(prefix: Path) -> None:
    """Fetch, unpack and patch."""
    if not Path("/usr/share/zoneinfo").is_dir():
        raise ScriptError("this machine lacks Debian's tzdata")
    if prefix.exists():
        with step("removing an incomplete or older set of programs"):
            shutil.rmtree(prefix)
    debian.install(PACKAGES, prefix, release=RELEASE, assumed=LEFT_OUT)
    for folder in UNUSED:
        shutil.rmtree(prefix / folder, ignore_errors=True)
    with step("making the programs run from here"):
        patch(prefix)


def patch(prefix: Path) -> None:
    """Point the programs at the loader and the libraries beside them, with Debian's patchelf run the same way."""
    loader = next(prefix.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"), None)
    if loader is None:
        raise ScriptError("Debian's C library has no loader that this script knows on this architecture")
    libraries = loader.parent
    patchelf = [loader, "--library-path", libraries, prefix / "usr/bin/patchelf"]
    for name in PROGRAMS:
        program = (prefix / name).resolve()
        # DT_RPATH rather than RUNPATH, because it also applies to the dependencies of libraries.
        options = ["--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries]
        run([*patchelf, *options, program], failing=f"patchelf could not change {program.name}")
        program.chmod(0o755)
