"""The site under faults and its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing.stack import Stack

if TYPE_CHECKING:  # these import Django's models: tests/conftest.py must set up Django first
    from testing.cast import Person
    from tests.chaos.drama import Drama
    from tests.chaos.site import Site

DEVICES = 3


@pytest.fixture(scope="session")
def shared_site(stack: Stack, logs: Path) -> Iterator[Site]:
    from tests.chaos.site import Site

    site = Site(stack.env, logs)
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The site, all parts running and connected."""
    shared_site.heal()
    return shared_site


@pytest.fixture
def watching_person(site: Site) -> Iterator[Person]:
    from testing.cast import device_create, person_create

    person = person_create(f"watcher_{device_create()}", base_url=site.url)
    yield person
    person.http.close()


@pytest.fixture
def devices(watching_person: Person) -> list[str]:
    from testing.cast import device_create

    return [device_create(owner=watching_person) for _ in range(DEVICES)]


@pytest.fixture
async def act(site: Site, watching_person: Person, devices: list[str], seed: int) -> AsyncIterator[Drama]:
    """A running load with its watchers."""
    from tests.chaos.drama import drama

    async with drama(site, watching_person, devices, seed) as running:
        yield running


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """`--seed`; pytest shows it among the fixtures of a failure."""
    return int(request.config.getoption("seed"))
