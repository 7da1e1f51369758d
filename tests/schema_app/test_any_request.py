"""Valid and invalid requests that schemathesis generates from the document, sent to a real server."""

from __future__ import annotations

import copy
import secrets
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from auth_app.models import AccessToken
from auth_app.tokens.access_tokens import token_create
from devices_app.models import Device
from schema_app.openapi import openapi_document
from telemetry.times import SECOND_US
from testing.cast import Person, device_share, person_create
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store

AnyCase = Case[Any]
EXAMPLES = 12
RUN = secrets.token_hex(4)
OWN, SHARED, FOREIGN, SPARE = (f"fuzz_{name}_{RUN}" for name in ("own", "shared", "foreign", "spare"))
GUEST = f"guest_{RUN}"
# These would delete what other requests need: each request gets its own device or token.
GIVES_AWAY = {"device_delete"}
SIGNS_OUT = {"api_logout_post", "password_post"}
# Generated input cannot guess a claim code or the id of an own API key or transfer: tests/schema_app/test_examples.py.
BEYOND_CHANCE = {"device_claim_post", "token_delete", "transfer_delete", "transfer_accept_post"}
# Attempt limits would respond instead of these routes.
LIMITS = """LOGIN_FAILURES_PER_ACCOUNT LOGIN_FAILURES_PER_ADDRESS REGISTRATIONS_PER_ACCOUNT REGISTRATIONS_PER_ADDRESS
    CLAIM_FAILURES_PER_USER CLAIM_FAILURES_PER_ADDRESS API_KEYS_MADE_PER_ACCOUNT API_KEYS_MADE_PER_ADDRESS
    NAMES_GIVEN_PER_USER TICKETS_PER_ACCOUNT TICKETS_PER_ADDRESS"""
NO_LIMITS = dict.fromkeys(LIMITS.split(), "1000000")


def _document() -> dict[str, Any]:
    """Return the document with existing devices and users; otherwise every request would end with a 403."""
    document = copy.deepcopy(openapi_document())
    for item in document["paths"].values():
        operations = [operation for method, operation in item.items() if method != "parameters"]
        for parameter in [
            *item.get("parameters", []),
            *(one for found in operations for one in found.get("parameters", [])),
        ]:
            if parameter["name"] == "device_id":
                parameter |= {"schema": {"type": "string", "enum": [OWN, SHARED, FOREIGN]}, "example": OWN}
            elif parameter["name"] == "devices":
                parameter["schema"]["items"]["enum"] = [OWN, SHARED]
                parameter["example"] = [OWN]
            elif parameter["name"] == "username":
                parameter["example"] = GUEST
    document["components"]["schemas"]["Query"]["properties"]["devices"]["items"]["enum"] = [OWN, SHARED]
    return document


CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "max-stream-events": 1,
        "generation": {"deterministic": True, "database": "none"},
        # A value that the schema allows may still be refused, such as a window that ends before it starts.
        "checks": {
            "positive_data_acceptance": {"enabled": False},
            "negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 405, 413, 429]},
        },
    }
)
schema = schemathesis.openapi.from_dict(_document(), config=CONFIG)


class Site:
    """A server without attempt limits, and a user with devices that have readings."""

    def __init__(self, server: Process, stack: Stack) -> None:
        self.server = server
        self.answered: dict[str, set[int]] = defaultdict(set)
        self.owner: Person = person_create(f"owner_{RUN}", base_url=server.url)
        self.leaver: Person = person_create(f"leaver_{RUN}", base_url=server.url)
        guest = person_create(GUEST, base_url=server.url)
        for device_id, owner in ((OWN, self.owner), (SHARED, guest), (FOREIGN, guest), (SPARE, self.owner)):
            Device.objects.create(device_id=device_id, owner=owner.user)
            readings = readings_each_second(device_id, now_us() - 600 * SECOND_US, 300)
            store(stack, readings)
            publish(stack, readings[-10:])
        device_share(SHARED, self.owner)

    def headers_for(self, case: AnyCase) -> dict[str, str]:
        """Return the credentials to send. First recreates what the request will delete."""
        operation_id = case.operation.definition.raw["operationId"]
        if operation_id in GIVES_AWAY and case.path_parameters.get("device_id") in (OWN, SHARED):
            Device.objects.filter(device_id=SPARE).update(owner=self.owner.user)
            case.path_parameters["device_id"] = SPARE
        token = self.owner.token
        if operation_id in SIGNS_OUT:
            token, _ = token_create(user=self.leaver.user, kind=AccessToken.Kind.LOGIN)
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def site(stack: Stack, logs: Path) -> Iterator[Site]:
    from testing.servers import server_process

    with server_process({**stack.env, **NO_LIMITS}, logs / "any_request.log") as server:
        site = Site(server, stack)
        yield site
        for operation_id, statuses in site.answered.items():
            assert operation_id in BEYOND_CHANCE or min(statuses) < 300, f"{operation_id}: never got beyond {statuses}"
        assert "Traceback" not in server.log.read_text()


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_response_is_documented(case: AnyCase, site: Site) -> None:
    response = case.call_and_validate(base_url=site.server.url, headers=site.headers_for(case), timeout=30)
    site.answered[case.operation.definition.raw["operationId"]].add(response.status_code)
