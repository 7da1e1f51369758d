"""The account that runs the servers: the caller's, or `nobody` if the caller is root, as PostgreSQL refuses root."""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from lib.console import ScriptError
from lib.paths import LOCAL, ROOT, shown

IS_ROOT = os.geteuid() == 0
AS_SERVER = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if IS_ROOT else []
VAR_TMP = Path("/var/tmp")


def give(path: Path) -> None:
    """Make the servers' user the owner of a file or folder."""
    if IS_ROOT:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def can_reach(folder: Path) -> bool:
    """Return whether the servers' user can enter the folder."""
    return subprocess.run([*AS_SERVER, "test", "-x", folder], check=False).returncode == 0


def services_folder() -> Path:
    """Return the folder of programs and data: .local/services, or one below /var/tmp if `nobody` cannot reach that."""
    LOCAL.mkdir(exist_ok=True)
    link = LOCAL / "services"
    if link.is_symlink() and not is_safe(link.resolve()):
        link.unlink()
    if not can_reach(LOCAL):
        folder = VAR_TMP / f"wattstream-{hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:16]}"
        claim(folder)
        if not link.is_symlink():
            shutil.rmtree(link, ignore_errors=True)
            link.symlink_to(folder)
    link.mkdir(exist_ok=True)
    return link.resolve()


def claim(folder: Path) -> None:
    """Create a folder in a shared directory, or verify that the existing one is ours."""
    folder.mkdir(mode=0o755, exist_ok=True)
    if not is_safe(folder):
        raise ScriptError(
            f"{shown(folder)} belongs to someone else or others may write to it: remove it and run again."
        )


def is_safe(folder: Path) -> bool:
    """Return whether this is our folder and nobody else can write to it."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
