"""Provision, claim, update, share and release devices. Every change is announced."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from auth_app.audit.entries import Event, audit_record
from auth_app.events import AccessChange, announce
from auth_app.limits.attempts import claim_failures, names_given
from auth_app.limits.counters import attempts_counted, failures_counted
from auth_app.models import User
from auth_app.rest.fields import iso_ms
from auth_app.selectors import user_by_name
from core.errors import BadRequest, DeviceForbidden, Forbidden
from devices_app.access import OWNER, access_of
from devices_app.codes import claim_code_digest, claim_code_make
from devices_app.models import Device, Grant, Transfer
from devices_app.selectors import device_owned
from devices_app.zones import is_zone

EXPIRED_AT_ONCE = 1_000
SHARE_MAX_DAYS = 3_650
_NO_DIGEST = "-" * 64  # as long as a digest, but not one


def device_provision(*, device_id: str, name: str = "", owner: User | None = None) -> tuple[Device, str]:
    """Register a device. Returns it and its claim code, of which only a digest is stored.

    Raises Django's ValidationError if the id is invalid or registered already.
    """
    code = claim_code_make()
    device = Device(device_id=device_id, name=name, owner=owner, claim_digest=claim_code_digest(code))
    device.full_clean()
    with transaction.atomic():
        device.save()
        _announce(device)
    return device, code


def device_reissue(*, device: Device) -> str:
    """Create a claim code that replaces the old one. It is valid while the device has no owner."""
    code = claim_code_make()
    Device.objects.filter(pk=device.pk).update(claim_digest=claim_code_digest(code))
    return code


def device_claim(*, user: User, address: str, device_id: str, claim_code: str) -> None:
    """Make `user` the owner and use up the code.

    Raises `TooManyAttempts`, and `Forbidden` (code `claim_refused`) with the same text for an unknown device, an owned
    device and a wrong code.
    """
    digest = claim_code_digest(claim_code)
    with failures_counted(*claim_failures(user.pk, address)), transaction.atomic():
        device = Device.objects.select_for_update().filter(device_id=device_id).first()
        matches = constant_time_compare(digest, (device.claim_digest if device else "") or _NO_DIGEST)
        if device is None or device.owner_id is not None or not matches:
            raise Forbidden("This device cannot be claimed with this code.", code="claim_refused").about(device_id)
        hand_over(device, user)
        device_record(Event.CLAIMED, device, owner=user, address=address)


def device_update(*, user: User, device_id: str, name: str | None = None, timezone: str | None = None) -> None:
    """Change the given fields. Raises `DeviceForbidden`, `Forbidden` (`owner_only`), `BadRequest` naming `timezone`."""
    if timezone is not None and not is_zone(timezone):
        raise BadRequest(f"timezone: {timezone!r} is not an IANA name such as Europe/Berlin.")
    with transaction.atomic():
        device = device_lock_owned(user=user, device_id=device_id)
        device.name = device.name if name is None else name
        device.timezone = timezone or device.timezone
        device.save(update_fields=["name", "timezone"])
        _announce(device)


def device_release(*, user: User, address: str, device_id: str) -> None:
    """Give up a device: it then has no owner and no grants, so nobody sees it.

    The next owner sees readings from now on.

    The next claim needs a new code from `manage.py provision_device ID --reissue`, because the first one is used up
    (unless the device was provisioned with an owner). Raises `DeviceForbidden`, `Forbidden`.
    """
    with transaction.atomic():
        device = device_lock_owned(user=user, device_id=device_id)
        device.grants.all().delete()
        Transfer.objects.filter(device=device).delete()
        device.owner = None
        device.visible_from = timezone.now()
        device.save(update_fields=["owner", "visible_from"])
        device_record(Event.RELEASED, device, owner=user, address=address)
        _announce(device)


def share_set(
    *, user: User, address: str, device_id: str, username: str, role: str, expires_at: datetime | None
) -> Grant:
    """Share the device with another user, until `expires_at` if given. Sharing again changes the expiry.

    Raises `DeviceForbidden`, `Forbidden` (`owner_only`), `BadRequest` naming `username` or `expires_at`,
    `TooManyAttempts`.
    """
    attempts_counted(names_given(user.pk))
    now = timezone.now()
    if expires_at is not None and not now < expires_at <= now + timedelta(days=SHARE_MAX_DAYS):
        raise BadRequest(f"expires_at: accepted are times from now to {SHARE_MAX_DAYS} days ahead.")
    with transaction.atomic():
        device = device_lock_owned(user=user, device_id=device_id)
        grant, _ = Grant.objects.update_or_create(
            device=device, user=_other_user(user, username), defaults={"role": role, "expires_at": expires_at}
        )
        until = "" if expires_at is None else f" until {iso_ms(expires_at)}"
        device_record(Event.SHARED, device, owner=user, address=address, detail=f"with {username}{until}")
        _announce(device)
    return grant


def share_remove(*, user: User, address: str, device_id: str, username: str) -> None:
    """End a grant. Does nothing if there is none. Raises `DeviceForbidden`, `Forbidden` (`owner_only`)."""
    with transaction.atomic():
        device = device_lock_owned(user=user, device_id=device_id)
        if username.isprintable():  # PostgreSQL accepts no NUL, not even in a query
            ended, _ = device.grants.filter(user__username__iexact=username).delete()
            if ended:
                device_record(Event.UNSHARED, device, owner=user, address=address, detail=f"with {username}")
        _announce(device)


def share_leave(*, user: User, address: str, device_id: str) -> None:
    """Give up the user's own grant. Raises `DeviceForbidden`, and `Forbidden` (code `viewer_only`) for the owner."""
    with transaction.atomic():
        access = access_of(user.pk, [device_id]).get(device_id)
        if access is None:
            raise DeviceForbidden().about(device_id)
        if access.role == OWNER:
            raise Forbidden(
                "The owner has no share to give up; release or transfer the device.", code="viewer_only"
            ).about(device_id)
        device = Device.objects.select_for_update().get(device_id=device_id)
        device.grants.filter(user=user).delete()
        audit_record(
            Event.UNSHARED, user=user, address=address, device_id=device_id, owner_id=device.owner_id,
            detail=f"{user.username} left",
        )  # fmt: skip
        _announce(device)


def grants_end_expired() -> int:
    """Delete expired grants, each with an audit entry for the owner of the device. Returns how many.

    An expired grant gives no access anyway; the entry informs the owner. Skips grants that were extended meanwhile.
    """
    expired = Grant.objects.filter(expires_at__lte=timezone.now()).select_related("device", "user")
    ended = 0
    for grant in expired[:EXPIRED_AT_ONCE]:
        with transaction.atomic():
            gone, _ = Grant.objects.filter(pk=grant.pk, expires_at=grant.expires_at).delete()
            if gone:
                audit_record(
                    Event.SHARE_EXPIRED,
                    user=grant.user,
                    address="",
                    device_id=grant.device.device_id,
                    owner_id=grant.device.owner_id,
                    time=grant.expires_at,
                )
            ended += gone
    return ended


def devices_of_deleted_user_announce(user: User) -> None:
    """Announce the devices that lose their owner with `user`: their viewers lose access too."""
    announce(AccessChange(devices=tuple(Device.objects.filter(owner=user).values_list("device_id", flat=True))))


def device_lock_owned(*, user: User, device_id: str) -> Device:
    """`device_owned`, with the row locked until the transaction ends, so that the owner cannot change meanwhile."""
    device = Device.objects.select_for_update().filter(pk=device_owned(user.pk, device_id).pk).first()
    if device is None or device.owner_id != user.pk:
        raise DeviceForbidden().about(device_id)
    return device


def hand_over(device: Device, owner: User) -> None:
    """Make `owner` the owner of a locked device. Every grant, offer and claim code ends."""
    device.grants.all().delete()
    Transfer.objects.filter(device=device).delete()
    device.owner = owner
    device.claim_digest = ""
    device.save(update_fields=["owner", "claim_digest", "visible_from"])
    _announce(device)


def _other_user(user: User, username: str) -> User:
    other = user_by_name(username)
    if other is None:
        raise BadRequest(f"username: {username!r} is nobody here.")
    if other.pk == user.pk:
        raise BadRequest("username: the device is yours already.")
    return other


def device_record(event: Event, device: Device, *, owner: User, address: str, detail: str = "") -> None:
    audit_record(event, user=owner, address=address, device_id=device.device_id, owner_id=owner.pk, detail=detail)


def _announce(device: Device) -> None:
    announce(AccessChange(devices=(device.device_id,)))
