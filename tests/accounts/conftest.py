"""Accounts on both databases, independent of the database that the rest of the run uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testing.accounts import accounts_create
from testing.stack import Stack

NewAccounts = Callable[[], str]


@pytest.fixture
def new_postgresql(stack: Stack) -> Iterator[NewAccounts]:
    """Each call creates an empty PostgreSQL database and returns its DATABASE_URL."""
    made = []

    def new() -> str:
        made.append(accounts_create(stack.env["TELEMETRY_ADMIN_URL"]))
        return made[-1].url

    yield new
    for accounts in made:
        accounts.drop()


@pytest.fixture
def new_sqlite(tmp_path: Path) -> NewAccounts:
    """Each call returns the DATABASE_URL of a file that does not exist yet."""
    names = iter(range(10))
    return lambda: f"sqlite:///{tmp_path / f'accounts_{next(names)}.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_accounts(request: pytest.FixtureRequest) -> NewAccounts:
    """`new_sqlite`, then `new_postgresql`."""
    new: NewAccounts = request.getfixturevalue(f"new_{request.param}")
    return new
