"""One real stack for the whole run: TimescaleDB, Redis, accounts database, server. Every test has its own users."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import django
import httpx
import pytest
from hypothesis import settings as hypothesis_settings

from testing.leftovers import run_begin, run_end
from testing.process import Process
from testing.stack import Stack, services, services_are_running, stack_of

if TYPE_CHECKING:
    from testing.cast import Person

_stack: Stack | None = None
_folder: tempfile.TemporaryDirectory[str] | None = None
_stops_services = False
_run_mark: str | None = None

# No deadlines on a busy machine; pytest-timeout ends tests that hang.
hypothesis_settings.register_profile("project", deadline=None)
hypothesis_settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pure", action="store_true", help="only tests that need no database, server or browser")
    parser.addoption("--soak", type=float, metavar="MINUTES", help="also run random faults for this time")
    parser.addoption("--accounts", choices=["sqlite", "postgresql"], help="database of the accounts")
    parser.addoption("--seed", type=int, default=1, help="random seed of tests/chaos (default: %(default)s)")


def needs_stack(item: pytest.Item) -> bool:
    return "stack" in getattr(item, "fixturenames", ())


def is_pure(item: pytest.Item) -> bool:
    return not needs_stack(item) and item.get_closest_marker("processes") is None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect soak tests without --soak, and with --pure all tests that need a database or processes."""
    unwanted = [item for item in items if config.getoption("soak") is None and item.get_closest_marker("soak")]
    if config.getoption("pure"):
        unwanted += [item for item in items if not is_pure(item) and item not in unwanted]
    if unwanted:
        items[:] = [item for item in items if item not in unwanted]
        config.hook.pytest_deselected(items=unwanted)


def is_controller(config: pytest.Config) -> bool:
    """Whether this process only distributes tests over those of pytest-xdist."""
    return bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Run before collection: test modules import Django's models, whose settings name the databases.

    The addresses are only reserved here. `pytest_collection_finish` starts the databases if a test needs them.
    """
    global _stack, _folder, _stops_services, _run_mark
    for ending in (signal.SIGINT, signal.SIGTERM):  # background jobs of a shell ignore Ctrl-C by default
        signal.signal(ending, signal.default_int_handler)
    if not hasattr(session.config, "workerinput"):
        _run_mark = run_begin()
    if is_controller(session.config):
        return  # the processes of pytest-xdist collect and run the tests
    _stops_services = not services_are_running()
    _folder = tempfile.TemporaryDirectory(prefix="wattstream-test-")
    _stack = stack_of(Path(_folder.name), accounts_on=session.config.getoption("accounts"))
    os.environ.update(_stack.env)
    os.environ["DJANGO_SETTINGS_MODULE"] = "asgi_project.settings"
    django.setup()


def pytest_collection_finish(session: pytest.Session) -> None:
    if _stack is not None and any(map(needs_stack, session.items)):
        _stack.open()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _stack is not None:
        if _stack.is_open:
            from django.db import connections

            from core.accounts_database import accounts_close
            from history_app.store.last_seen import last_seen_close

            connections.close_all()
            last_seen_close()
            accounts_close()
        _stack.close()
    if _folder is not None:
        _folder.cleanup()
    if _stops_services and _stack is not None and _stack.is_open:
        services("stop")


def pytest_unconfigure() -> None:
    if _run_mark is not None and (left := run_end(_run_mark)):
        print(f"ended {len(left)} processes that tests left behind", file=sys.stderr)  # noqa: T201


@pytest.fixture(scope="session")
def stack() -> Stack:
    assert _stack is not None
    assert _stack.is_open, "only tests that use this fixture start the stack"
    return _stack


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for the logs of the run's processes."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def server(stack: Stack, logs: Path) -> Iterator[Process]:
    """The production server on a free port."""
    from testing.servers import server_process

    with server_process(stack.env, logs / "server.log") as process:
        yield process


@pytest.fixture(scope="session")
def raw_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """The production server without rollup tiers: every response comes from raw rows."""
    from testing.servers import server_process

    with server_process({**stack.env, "HISTORY_USE_TIERS": "0"}, logs / "raw_server.log") as process:
        yield process


@pytest.fixture(scope="session")
def writer(stack: Stack, logs: Path) -> Iterator[Process]:
    """The writer on a free port."""
    from testing.servers import writer_process

    with writer_process(stack.env, logs / "writer.log") as process:
        yield process


@pytest.fixture
def anonymous(server: Process) -> Iterator[httpx.Client]:
    """An HTTP client without credentials."""
    from testing.cast import client

    with client(server.url) as http:
        yield http


def _person(name: str, server: Process) -> Iterator[Person]:
    from testing.cast import person_create

    person = person_create(f"{name}_{secrets.token_hex(4)}", base_url=server.url)
    yield person
    person.http.close()


@pytest.fixture
def alice(server: Process) -> Iterator[Person]:
    """The owner of `device`."""
    yield from _person("alice", server)


@pytest.fixture
def bob(server: Process) -> Iterator[Person]:
    """A guest: sees a device only after it is shared with him."""
    yield from _person("bob", server)


@pytest.fixture
def charlie(server: Process) -> Iterator[Person]:
    """A stranger."""
    yield from _person("charlie", server)


@pytest.fixture
def device(alice: Person) -> str:
    """The id of a new device that alice owns."""
    from testing.cast import device_create

    return device_create(owner=alice)
