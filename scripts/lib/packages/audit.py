"""Known vulnerabilities of the locked packages, from the service that pip-audit queries."""

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.console import ScriptError, entry, locked, say, step
from lib.machine import venv
from lib.paths import LOCAL, LOCKS, shown

ABOUT = """\
Ask a vulnerability service about every package of requirements/*.lock, exactly as locked.

Ends with 1 where a package has a known vulnerability. Where the service cannot be reached it says so, and ends with 0:
nothing was found out, which is no finding. --strict makes that a failure, for a CI with a way out.

Further options go to pip-audit, such as: --vulnerability-service osv, --ignore-vuln ID"""
FOLDER = LOCAL / "audit"
AUDITED = ("dev.lock", "node.lock", "audit.lock")  # dev.lock contains server.lock
DEADLINE_S = 300
# Last lines of pip-audit if it cannot reach the service; it does not catch all of these errors.
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ServiceError", "Could not connect", "ProxyError")


@dataclass(frozen=True)
class AuditReport:
    """`answered`: how many packages the service knew; `unknown`: those it did not; `findings`: one line each."""

    answered: int
    unknown: list[str]
    findings: list[str]


def main() -> int:
    """Parse the arguments, query the service and print the result."""
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strict", action="store_true", help="fail where the service cannot be reached")
    parser.add_argument("--lock", type=Path, action="append", help="another lock file (may be repeated)")
    options, further = parser.parse_known_args()
    locks = options.lock or [LOCKS / name for name in AUDITED]
    try:
        report = report_of(ask(locks, further))
    except NotAudited as reason:
        say(f"NOT AUDITED: {reason}. Nothing is known about the locked packages; run ./scripts/audit where it can.")
        return int(options.strict)
    for line in report.findings:
        say(line)
    if report.unknown:
        say(f"not known to the service: {', '.join(report.unknown)}")
    say(f"{report.answered} packages audited, {len(report.findings)} known vulnerabilities")
    return int(bool(report.findings) or (options.strict and bool(report.unknown)))


class NotAudited(Exception):
    """The service did not answer. The message states the evidence."""


def ask(locks: list[Path], further: list[str]) -> str:
    """Return pip-audit's JSON. Raises NotAudited, or ScriptError if it failed for another reason."""
    command = [str(FOLDER / "bin/python"), "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    # The locks contain hashes, so nothing has to be resolved or downloaded.
    command += ["--require-hashes", "--disable-pip", *further]
    for lock in locks:
        command += ["--requirement", str(lock)]
    install()
    with step("asking about the locked packages"):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        except subprocess.TimeoutExpired:
            raise NotAudited(f"the vulnerability service took longer than {DEADLINE_S} s") from None
    if done.stdout.strip():
        return done.stdout
    if any(word in done.stderr for word in UNREACHABLE):
        raise NotAudited("the vulnerability service cannot be reached")
    raise ScriptError("pip-audit failed.", done.stderr.strip().splitlines()[-4:])


def install() -> None:
    """Install pip-audit in its own environment. Raises NotAudited if it is not available."""
    with locked(LOCAL / "audit.lock"):
        try:
            venv.install(FOLDER, [LOCKS / "audit.lock"], title="installing pip-audit")
        except ScriptError as error:
            raise NotAudited(f"{shown(FOLDER)} could not be filled ({error})") from error


def report_of(text: str) -> AuditReport:
    """Return the report in pip-audit's JSON. Raises NotAudited if the service knew none of the packages.

    A mirror without vulnerability data answers like this; pip-audit then reports no vulnerabilities.
    """
    packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    answered = [package for package in packages if "vulns" in package]
    if not answered:
        raise NotAudited(f"the service that was reached knows none of the {len(packages)} packages")
    return AuditReport(
        answered=len(answered),
        unknown=[package["name"] for package in packages if "vulns" not in package],
        findings=[finding(package, found) for package in answered for found in package["vulns"]],
    )


def finding(package: dict[str, Any], found: dict[str, Any]) -> str:
    """Return one line: the package, the vulnerability and the fixed version."""
    mended = ", ".join(found["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {found['id']}, mended in {mended}"


def script() -> int:
    """The entry point of scripts/audit."""
    return entry(main)
