"""Admin pages for users, tokens and the audit log. Signing in and out happens at /login and /logout."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from auth_app.audit.entries import Event, audit_record
from auth_app.credentials import remote_address
from auth_app.models import AccessToken, AuditEntry, User
from auth_app.passwords import hasher_slot
from auth_app.services import user_delete, user_disable
from auth_app.sessions.browser import session_close
from auth_app.tokens.access_tokens import tokens_revoke

ACCOUNT_URL = "/account"  # the dashboard's page

if TYPE_CHECKING:
    TokenAdminBase = admin.ModelAdmin[AccessToken]
    AuditAdminBase = admin.ModelAdmin[AuditEntry]
    UserAdminBase = DjangoUserAdmin[User]
else:
    TokenAdminBase = AuditAdminBase = admin.ModelAdmin
    UserAdminBase = DjangoUserAdmin


@admin.register(User)
class UserAdmin(UserAdminBase):
    """Changing the password or `is_active` ends access at once, through `User.save`."""

    actions = ["disable"]

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - Django's name
        form_url: str = "",
    ) -> HttpResponse:
        """Hashing the new password needs a slot, as everywhere."""
        with hasher_slot() if request.method == "POST" else nullcontext():
            return super().user_change_password(request, id, form_url)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The same for a new user."""
        with hasher_slot() if request.method == "POST" else nullcontext():
            return super().add_view(request, form_url, extra_context)

    @admin.action(description="Disable selected users")
    def disable(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            user_disable(user=user)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        user_delete(user=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            user_delete(user=user)


@admin.register(AccessToken)
class AccessTokenAdmin(TokenAdminBase):
    list_display = ["pk", "user", "kind", "name", "scopes", "created_at", "expires_at", "revoked_at"]
    list_filter = ["kind"]
    search_fields = ["user__username", "name"]
    list_select_related = ["user"]
    fields = ("user", "kind", "name", "scopes", "created_at", "expires_at", "revoked_at")
    readonly_fields = fields
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        with transaction.atomic():
            tokens_revoke(queryset)
            self._record(request, queryset)

    def delete_model(self, request: HttpRequest, obj: AccessToken) -> None:
        with transaction.atomic():
            tokens_revoke([obj])
            self._record(request, [obj])
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        with transaction.atomic():
            tokens_revoke(queryset)
            self._record(request, queryset)
            super().delete_queryset(request, queryset)

    def _record(self, request: HttpRequest, tokens: Iterable[AccessToken]) -> None:
        """Write an audit entry for the owner of each token."""
        for token in tokens:
            audit_record(
                Event.KEY_REVOKED,
                user=token.user,
                address=remote_address(request),
                detail=f"{token.name or token.kind}, by {request.user} in the admin",
            )


@admin.register(AuditEntry)
class AuditEntryAdmin(AuditAdminBase):
    """Read-only."""

    list_display = ["time", "event", "username", "device_id", "detail", "address", "count"]
    list_filter = ["event", "time"]
    search_fields = ["username", "device_id", "address"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False


def admin_login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"), settings.LOGIN_URL)


def admin_password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Redirect to the account page: the API limits and audits password changes, Django's form does not."""
    return HttpResponseRedirect(ACCOUNT_URL)


@require_POST
def admin_logout(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    session_close(request)
    return HttpResponseRedirect(settings.LOGIN_URL)


# Only /login gives a session its access token, and a session without one is not authenticated.
admin.site.password_change = admin_password_change  # type: ignore[method-assign, assignment]
admin.site.login = admin_login  # type: ignore[method-assign]
admin.site.logout = admin_logout  # type: ignore[method-assign, assignment]
