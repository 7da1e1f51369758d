"""The examples of the document: the commands of the page, and the examples of every parameter."""

from __future__ import annotations

import json
import shlex
from typing import Any

import httpx
import pytest

from auth_app.models import AccessToken
from auth_app.tokens.access_tokens import token_create
from devices_app.codes import claim_code_digest
from devices_app.models import Device, Transfer
from schema_app.openapi import openapi_document
from schema_app.pages import page_context
from telemetry.times import SECOND_US
from testing.cast import Person, client, device_create, device_share
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import now_us, readings_each_second, store

OPERATIONS: list[dict[str, Any]] = [
    operation for group in page_context(openapi_document())["groups"] for operation in group["operations"]
]
PARAMETERS = [
    (path, parameter["name"], parameter["example"])
    for path, item in openapi_document()["paths"].items()
    for parameter in item.get("get", {}).get("parameters", [])
    if "example" in parameter and "{device_id}" in path
]


def run(command: str, url: str, token: str) -> httpx.Response:
    """Send the request of a curl command from the page; not every machine has curl."""
    program, *words = shlex.split(command.replace("$URL", url).replace("$TOKEN", token))
    assert program == "curl"
    address, *words = words
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert set(given) <= {"-X", "-H", "--json"}
    headers = dict([given["-H"].split(": ", 1)]) if "-H" in given else {}
    body = {"json": json.loads(given["--json"])} if "--json" in given else {}
    method = given.get("-X", "POST" if body else "GET")
    with client(url) as http, http.stream(method, address, headers=headers, **body) as answer:
        if not answer.is_success:  # otherwise the response may be endless
            answer.read()
        return answer


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation["id"])
def test_the_command_of_an_operation_works(
    operation: dict[str, Any], server: Process, stack: Stack, alice: Person, device: str, request: pytest.FixtureRequest
) -> None:
    store(stack, readings_each_second(device, now_us() - 60 * SECOND_US, 30))
    if operation["id"] == "device_own_share_delete":
        device = device_create(owner=request.getfixturevalue("bob"))
        device_share(device, alice)
    command: str = operation["command"].replace("ems_001", device)
    if "bob" in command:
        bob: Person = request.getfixturevalue("bob")
        command = command.replace("bob", bob.username)
    if operation["id"] == "device_claim_post":
        Device.objects.filter(device_id=device).update(
            owner=None, claim_digest=claim_code_digest("7K2QX-M94TD-0ZB8N-WJ3RH")
        )
    if operation["id"] == "token_delete":
        _, key = token_create(user=alice.user, kind=AccessToken.Kind.API_KEY, name="to go")
        command = command.replace("/tokens/1", f"/tokens/{key.pk}")
    if operation["id"] == "session_delete":
        _, session = token_create(user=alice.user, kind=AccessToken.Kind.LOGIN)
        command = command.replace("/sessions/1", f"/sessions/{session.pk}")
    if operation["id"].startswith("transfer_"):
        offer = Transfer.objects.create(
            device=Device.objects.get(device_id=device), sender=alice.user, recipient=alice.user, username="alice"
        )
        command = command.replace("/transfers/1", f"/transfers/{offer.pk}")
    name = f"{alice.username}_new" if operation["id"] == "register_post" else alice.username
    answer = run(command.replace('"alice"', f'"{name}"'), server.url, alice.token)
    assert answer.is_success, f"{command}: {answer.text}"


def test_the_example_of_every_parameter_works(alice: Person, device: str) -> None:
    for path, name, example in PARAMETERS:
        value = ",".join(example) if isinstance(example, list) else example
        more = {"range": "1h"} if path.endswith("/export") else {}
        answer = alice.http.get(path.replace("{device_id}", device), params={**more, name: value})
        assert answer.status_code == 200, f"{path} {name}: {answer.text}"
