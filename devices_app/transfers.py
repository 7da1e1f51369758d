"""Transfers: the owner offers a device, the other user accepts. Every change is announced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from auth_app.audit.entries import Event, audit_record
from auth_app.limits.attempts import names_given
from auth_app.limits.counters import attempts_counted
from auth_app.models import User
from auth_app.selectors import user_by_name
from core.errors import BadRequest, NotFound
from devices_app.models import Device, Transfer
from devices_app.services import device_lock_owned, device_record, hand_over

_NONE = "No such transfer among yours."


@dataclass(frozen=True, slots=True)
class PendingTransfer:
    """A transfer that waits for `username` to accept it. `incoming`: offered to the user who asks, not by them."""

    id: int
    device_id: str
    owner: str
    username: str
    with_history: bool
    created_at: datetime
    incoming: bool


def transfers_of(user: User) -> list[PendingTransfer]:
    """The transfers that wait, offered to `user` or by them, oldest first."""
    found = Transfer.objects.filter(Q(sender=user) | Q(recipient=user)).select_related("device", "sender")
    return [_pending(transfer, user) for transfer in found.order_by("pk")]


def transfer_offer(*, user: User, address: str, device_id: str, username: str, with_history: bool) -> PendingTransfer:
    """Offer a device to the user named `username`; replaces an earlier offer of this device.

    The result is the same whether or not an active user has that name. Raises `DeviceForbidden`, `Forbidden`
    (`owner_only`), `BadRequest` naming `username` for the owner's own name, `TooManyAttempts`.
    """
    attempts_counted(names_given(user.pk))
    with transaction.atomic():
        device = device_lock_owned(user=user, device_id=device_id)
        other = user_by_name(username)
        if other is not None and other.pk == user.pk:
            raise BadRequest("username: the device is yours already.")
        Transfer.objects.filter(device=device).delete()
        transfer = Transfer.objects.create(
            device=device, sender=user, recipient=other, username=username, with_history=with_history
        )
        device_record(Event.TRANSFER_OFFERED, device, owner=user, address=address, detail=f"to {username}")
    return _pending(transfer, user)


def transfer_accept(*, user: User, address: str, transfer_id: int) -> str:
    """Make `user` the owner of the offered device. Returns its id.

    Every grant ends, and the former owner sees nothing any more. Unless the offer was `with_history`, the new owner
    and their viewers see readings from now on only. Raises `NotFound`.
    """
    with transaction.atomic():
        transfer = _lock(Q(recipient=user), transfer_id)
        device, former, with_history = transfer.device, transfer.sender, transfer.with_history
        if not with_history:
            device.visible_from = timezone.now()
        hand_over(device, user)
        device_record(Event.TRANSFERRED, device, owner=former, address="", detail=f"to {user.username}")
        device_record(Event.TRANSFERRED, device, owner=user, address=address, detail=f"from {former.username}")
    return device.device_id


def transfer_end(*, user: User, address: str, transfer_id: int) -> None:
    """Cancel an offer (its owner) or decline it (its recipient). Raises `NotFound`."""
    with transaction.atomic():
        transfer = _lock(Q(recipient=user) | Q(sender=user), transfer_id)
        is_sender = transfer.sender_id == user.pk
        audit_record(
            Event.TRANSFER_ENDED,
            user=user,
            address=address if is_sender else "",  # the owner reads it
            device_id=transfer.device.device_id,
            owner_id=transfer.sender_id,
            detail=f"to {transfer.username}, {'cancelled' if is_sender else 'declined'}",
        )
        transfer.delete()


def _lock(among: Q, transfer_id: int) -> Transfer:
    """The transfer, with its device locked first, as in every other change of a device."""
    found = Transfer.objects.filter(among, pk=transfer_id).values_list("device_id", "sender_id").first()
    if found is None:
        raise NotFound(_NONE)
    device = Device.objects.select_for_update().filter(pk=found[0], owner_id=found[1]).first()
    transfer = Transfer.objects.select_related("sender").filter(among, pk=transfer_id).first()
    if device is None or transfer is None:
        raise NotFound(_NONE)
    transfer.device = device
    return transfer


def _pending(transfer: Transfer, user: User) -> PendingTransfer:
    return PendingTransfer(
        id=transfer.pk,
        device_id=transfer.device.device_id,
        owner=transfer.sender.username,
        username=transfer.username,
        with_history=transfer.with_history,
        created_at=transfer.created_at,
        incoming=transfer.sender_id != user.pk,
    )
