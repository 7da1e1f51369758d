"""OpenAPI declarations of the device routes."""

from __future__ import annotations

from auth_app.serializers import AuditPageOutput, AuditQuery
from core.openapi import NO_CONTENT, Operation, json_response, listed
from devices_app.serializers import (
    ClaimInput,
    DeviceInput,
    DeviceOutput,
    ShareInput,
    ShareOutput,
    TransferInput,
    TransferOutput,
)

_OWNER_ONLY = {
    403: "No such device among yours (`forbidden`), only its owner may (`owner_only`), scope or CSRF as everywhere."
}
_TOO_MANY_NAMES = "Too many usernames; `Retry-After` gives the seconds to wait."

DEVICES = Operation(
    summary="My devices, and those shared with me",
    responses={200: json_response("By device id.", listed(DeviceOutput))},
)
CLAIM = Operation(
    summary="Become the owner of a device",
    description="Needs the claim code of the device, which is valid once.",
    body=ClaimInput,
    example={"device_id": "ems_001", "claim_code": "7K2QX-M94TD-0ZB8N-WJ3RH"},
    responses={201: json_response("The device.", DeviceOutput)},
    refusals={
        403: "The code does not fit, in the same words for a device that is unknown or has an owner (`claim_refused`).",
        429: "Too many attempts; `Retry-After` says when to retry.",
    },
)
DEVICE = Operation(summary="One device", responses={200: json_response("The device.", DeviceOutput)})
DEVICE_UPDATE = Operation(
    summary="Rename a device, or move it to another time zone",
    body=DeviceInput,
    example={"name": "Cellar", "timezone": "Europe/Berlin"},
    responses={200: json_response("The device.", DeviceOutput)},
    refusals=_OWNER_ONLY,
)
DEVICE_RELEASE = Operation(
    summary="Give a device up",
    description="Every grant ends. To be claimed again it needs a new code.",
    responses={204: NO_CONTENT},
    refusals=_OWNER_ONLY,
)
SHARES = Operation(
    summary="The viewers of a device",
    responses={200: json_response("The active grants, by username.", listed(ShareOutput))},
    refusals=_OWNER_ONLY,
)
SHARE_SET = Operation(
    summary="Share a device with another user",
    description="Sharing again changes the expiry.",
    body=ShareInput,
    example={"username": "bob", "role": "viewer"},
    responses={201: json_response("The grant.", ShareOutput)},
    refusals={**_OWNER_ONLY, 429: _TOO_MANY_NAMES},
)
SHARE_REMOVE = Operation(
    summary="End a grant",
    description="Does nothing if there is no such grant.",
    responses={204: NO_CONTENT},
    refusals=_OWNER_ONLY,
)
SHARE_LEAVE = Operation(
    summary="Give up my access to a shared device",
    description="For viewers. The owner releases or transfers the device instead.",
    responses={204: NO_CONTENT},
    refusals={403: "No such device among yours (`forbidden`), you own it (`viewer_only`), scope or CSRF."},
)
AUDIT = Operation(
    summary="What happened to a device",
    description="Newest first. `cursor` is the `next_cursor` of the page before.",
    query=AuditQuery,
    responses={200: json_response("A page; `next_cursor` is null on the last one.", AuditPageOutput)},
    refusals=_OWNER_ONLY,
)
_NO_TRANSFER = {404: "No such transfer among yours."}

TRANSFER = Operation(
    summary="Offer a device to another user",
    description="Nothing changes until that user accepts. An earlier offer of the device is replaced. The response is "
    "the same whether or not a user has that name.",
    body=TransferInput,
    example={"username": "bob", "with_history": False},
    responses={202: json_response("The transfer, which waits.", TransferOutput)},
    refusals={**_OWNER_ONLY, 429: _TOO_MANY_NAMES},
)
TRANSFERS = Operation(
    summary="Transfers that wait: offered to me, or by me",
    responses={200: json_response("Oldest first.", listed(TransferOutput))},
)
TRANSFER_ACCEPT = Operation(
    summary="Accept a device",
    description="The user becomes the owner. Every grant ends. Unless the offer is `with_history`, the new owner and "
    "their viewers see readings from now on only.",
    responses={200: json_response("The device.", DeviceOutput)},
    refusals=_NO_TRANSFER,
)
TRANSFER_END = Operation(
    summary="Decline a transfer, or cancel an offer",
    responses={204: NO_CONTENT},
    refusals=_NO_TRANSFER,
)
