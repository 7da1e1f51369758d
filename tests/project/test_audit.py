"""./scripts/audit: its output with findings, without findings, and without the vulnerability service.

A substitute service speaks the OSV API on loopback: the real one may be unreachable and may know no vulnerability of
the locked packages. pip-audit is real.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testing.process import ROOT, free_port

pytestmark = pytest.mark.processes

LOCK = f"left-behind==1.0 \\\n    --hash=sha256:{'0' * 64}\nsound==2.0 \\\n    --hash=sha256:{'1' * 64}\n"
RANGE = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}
FOUND = {
    "id": "PYSEC-2026-1", "summary": "It lets everybody in.",
    "affected": [{"package": {"name": "left-behind", "ecosystem": "PyPI"}, "ranges": [RANGE], "versions": ["1.0"]}],
}  # fmt: skip


class OsvService(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_known = asked["package"]["name"] == "left-behind" and self.path == "/findings"
        body = json.dumps({"vulns": [FOUND]} if is_known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the log out of the test's output."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OsvService) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def audit(folder: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    lock = folder / "some.lock"
    lock.write_text(LOCK)
    asked = ["--vulnerability-service", "osv", "--osv-url", url]
    return subprocess.run(
        [ROOT / "scripts/audit", "--lock", lock, *asked, *options],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_known_vulnerability_fails_and_is_named(service: str, tmp_path: Path) -> None:
    done = audit(tmp_path, f"{service}/findings")
    assert done.returncode == 1
    assert "left-behind 1.0: PYSEC-2026-1, mended in 1.1" in done.stderr
    assert "2 packages audited, 1 known vulnerabilities" in done.stderr


def test_the_audit_passes_without_known_vulnerabilities(service: str, tmp_path: Path) -> None:
    done = audit(tmp_path, f"{service}/none")
    assert (done.returncode, "2 packages audited, 0 known" in done.stderr) == (0, True), done.stderr


def test_an_unreachable_service_is_reported_and_fails_only_on_request(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = audit(tmp_path, url)
    assert (done.returncode, "NOT AUDITED" in done.stderr) == (0, True), done.stderr
    assert audit(tmp_path, url, "--strict").returncode == 1


def test_the_checks_run_the_audit() -> None:
    assert "./scripts/audit" in (ROOT / "scripts/check").read_text()
