"""The pages at /login and /logout."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from asgi_project.errors import DATABASE_AWAY, BadRequest, Problem, database_away
from auth_app.credentials import remote_address
from auth_app.denials import problem_denied
from auth_app.services import user_authenticate
from auth_app.sessions import session_close, session_open


class LoginForm(forms.Form):
    username = forms.CharField(max_length=150)
    password = forms.CharField(max_length=256, strip=False)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def login_page(request: HttpRequest) -> HttpResponse:
    """The form, also for who is signed in already: the admin sends here who is not staff."""
    if request.method != "POST":
        return _form(request)
    try:
        return _sign_in(request)
    except Problem as problem:
        problem_denied(problem, identity=None, what="login", address=remote_address(request))
        return _form(request, problem)
    except DATABASE_AWAY as error:
        return _form(request, database_away(error))


@require_POST
def logout_page(request: HttpRequest) -> HttpResponse:
    session_close(request)
    return HttpResponseRedirect(settings.LOGIN_URL)


def _sign_in(request: HttpRequest) -> HttpResponse:
    form = LoginForm(request.POST)
    if not form.is_valid():
        raise BadRequest("Enter your username and your password.")
    session_open(request, user_authenticate(**form.cleaned_data, address=remote_address(request)))
    return HttpResponseRedirect(_next(request))


def _form(request: HttpRequest, problem: Problem | None = None) -> HttpResponse:
    context = {"problem": problem, "next": _next(request), "username": request.POST.get("username", "")[:150]}
    response = render(request, "auth_app/login.html", context, status=problem.status if problem else 200)
    for name, value in (problem.headers if problem else {}).items():
        response[name] = value
    return response


def _next(request: HttpRequest) -> str:
    """Where to go once signed in: `next`, if it stays on this host."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    stays = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if stays else settings.LOGIN_REDIRECT_URL
