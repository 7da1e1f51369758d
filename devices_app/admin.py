"""Admin pages for devices and grants. Changes take effect at once, as in services.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now

from auth_app.audit.entries import Event, audit_record
from auth_app.credentials import remote_address
from auth_app.events import AccessChange, announce
from auth_app.models import User
from devices_app.models import Device, Grant, Transfer
from devices_app.zones import is_zone

if TYPE_CHECKING:
    DeviceAdminBase = admin.ModelAdmin[Device]
    GrantAdminBase = admin.ModelAdmin[Grant]
    DeviceFormBase = forms.ModelForm[Device]
else:
    DeviceAdminBase = GrantAdminBase = admin.ModelAdmin
    DeviceFormBase = forms.ModelForm


class DeviceForm(DeviceFormBase):
    def clean_timezone(self) -> str:
        zone = str(self.cleaned_data["timezone"])
        if not is_zone(zone):
            raise ValidationError(f"{zone!r} is not an IANA name such as Europe/Berlin")
        return zone


@admin.register(Device)
class DeviceAdmin(DeviceAdminBase):
    form = DeviceForm
    list_display = ["device_id", "name", "owner", "timezone", "created_at"]
    search_fields = ["device_id", "name", "owner__username"]
    autocomplete_fields = ["owner"]
    list_select_related = ["owner"]

    def get_readonly_fields(self, request: HttpRequest, obj: Device | None = None) -> list[str]:
        """Readings are stored under the id, so it cannot change."""
        return ["created_at"] if obj is None else ["device_id", "created_at"]

    def save_model(self, request: HttpRequest, obj: Device, form: Any, change: bool) -> None:
        with transaction.atomic():
            if change and "owner" in form.changed_data:
                Transfer.objects.filter(device=obj).delete()
                if "visible_from" not in form.changed_data and form.initial.get("owner") is not None:
                    obj.visible_from = now()  # an empty field would show a stranger's past to the new owner
            super().save_model(request, obj, form, change)
            if "owner" in form.changed_data:
                _record(request, Event.TRANSFERRED, obj, f"to {obj.owner or 'nobody'}")
            announce(AccessChange(devices=(obj.device_id,)))

    def delete_model(self, request: HttpRequest, obj: Device) -> None:
        with transaction.atomic():
            announce(AccessChange(devices=(obj.device_id,)))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        with transaction.atomic():
            announce(AccessChange(devices=tuple(queryset.values_list("device_id", flat=True))))
            super().delete_queryset(request, queryset)


@admin.register(Grant)
class GrantAdmin(GrantAdminBase):
    list_display = ["device", "user", "role", "expires_at", "created_at"]
    search_fields = ["device__device_id", "user__username"]
    autocomplete_fields = ["device", "user"]
    list_select_related = ["device", "user"]
    readonly_fields = ["created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> list[str]:
        """Device and user of a grant cannot change, only its end."""
        return ["created_at"] if obj is None else ["device", "user", "created_at"]

    def save_model(self, request: HttpRequest, obj: Grant, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            _record(request, Event.SHARED, obj.device, f"with {obj.user}")
            announce(_change([obj]))

    def delete_model(self, request: HttpRequest, obj: Grant) -> None:
        with transaction.atomic():
            _record(request, Event.UNSHARED, obj.device, f"with {obj.user}")
            announce(_change([obj]))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> None:
        with transaction.atomic():
            grants = list(queryset.select_related("device", "user"))
            for grant in grants:
                _record(request, Event.UNSHARED, grant.device, f"with {grant.user}")
            announce(_change(grants))
            super().delete_queryset(request, queryset)


def _record(request: HttpRequest, event: Event, device: Device, detail: str) -> None:
    audit_record(
        event,
        user=request.user if isinstance(request.user, User) else None,
        address=remote_address(request),
        device_id=device.device_id,
        owner_id=device.owner_id,
        detail=f"{detail}, in the admin",
    )


def _change(grants: list[Grant]) -> AccessChange:
    return AccessChange(devices=tuple(grant.device.device_id for grant in grants))
