"""Fifty concurrent writers: all succeed, none fails on a locked database."""

from __future__ import annotations

from pathlib import Path

from testing.cast import PASSWORD
from testing.stack import Stack
from tests.accounts.conftest import NewAccounts
from tests.accounts.site import Site
from tests.accounts.writers import Writers, makes_keys, shares, signs_in


def test_fifty_concurrent_writers_and_a_command(stack: Stack, new_accounts: NewAccounts, tmp_path: Path) -> None:
    with Site(stack, new_accounts(), tmp_path) as site:
        site.register("alice")
        site.register("bob")
        device = site.device("alice")
        writes = [makes_keys] * 30 + [shares(device, "bob")] * 15 + [signs_in("alice", PASSWORD)] * 5
        writers = Writers(site, site.token("alice"), writes)
        site.device("bob")  # runs `manage.py provision_device` as a process at the same time
        answers = writers.finish()
        assert {answer.status_code for answer in answers} == {200, 201, 204}
        assert len(answers) == 4 * (30 * 2 + 15 * 3 + 5)
        assert "locked" not in site.server.log.read_text()
        with site.client(site.token("alice")) as http:
            assert http.get("/api/auth/tokens").json() == []
            assert http.get(f"/api/devices/{device}/shares").json() == []
