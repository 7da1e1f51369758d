"""Clients of a site that runs on several machines."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:  # these import Django's models: tests/conftest.py must set up Django first
    from testing.cast import Person
    from tests.chaos.drama import Drama
    from tests.chaos.site import Site
    from tests.scale.site import ScaleSite

DEVICES = 3


@pytest.fixture
def person(site: ScaleSite) -> Iterator[Person]:
    from testing.cast import person_create

    person = person_create(f"scale_{secrets.token_hex(4)}", base_url=site.url)
    yield person
    person.http.close()


@pytest.fixture
def devices(person: Person) -> list[str]:
    from testing.cast import device_create

    return [device_create(owner=person) for _ in range(DEVICES)]


@pytest.fixture
async def act(site: ScaleSite, person: Person, devices: list[str]) -> AsyncIterator[Drama]:
    """A load through the real writer, and clients at both servers that follow the contract."""
    from tests.chaos.drama import drama

    # Drama uses only url, env, writer and stored, which both kinds of site have.
    async with drama(cast("Site", site), person, devices, seed=1) as running:
        site.both_are_watched()
        yield running
