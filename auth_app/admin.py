"""The admin's pages for users and tokens. It signs in and out through /login and /logout like everything else."""

from __future__ import annotations

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

from auth_app.models import AccessToken, User
from auth_app.services import user_delete, user_disable
from auth_app.sessions import session_close
from auth_app.tokens import tokens_revoke

if TYPE_CHECKING:
    TokenAdminBase = admin.ModelAdmin[AccessToken]
    UserAdminBase = DjangoUserAdmin[User]
else:
    TokenAdminBase = admin.ModelAdmin
    UserAdminBase = DjangoUserAdmin


@admin.register(User)
class UserAdmin(UserAdminBase):
    """A changed password or `is_active` ends access at once: `User.save` sees to it."""

    actions = ["disable"]

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
    list_display = ["pk", "user", "kind", "name", "created_at", "expires_at", "revoked_at"]
    list_filter = ["kind"]
    search_fields = ["user__username", "name"]
    list_select_related = ["user"]
    fields = ("user", "kind", "name", "created_at", "expires_at", "revoked_at")
    readonly_fields = fields
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        with transaction.atomic():
            tokens_revoke(queryset)

    def delete_model(self, request: HttpRequest, obj: AccessToken) -> None:
        with transaction.atomic():
            tokens_revoke([obj])
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        with transaction.atomic():
            tokens_revoke(queryset)
            super().delete_queryset(request, queryset)


def admin_login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"), settings.LOGIN_URL)


@require_POST
def admin_logout(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    session_close(request)
    return HttpResponseRedirect(settings.LOGIN_URL)


# One way in and out: only /login gives a session the access token without which it counts for nothing.
admin.site.login = admin_login  # type: ignore[method-assign]
admin.site.logout = admin_logout  # type: ignore[method-assign, assignment]
