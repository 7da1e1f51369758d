"""The pages at /login, /register and /logout."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from auth_app.audit.denials import problem_denied
from auth_app.credentials import remote_address
from auth_app.rest.problems import validation_words
from auth_app.serializers import RegisterInput
from auth_app.services import registration_require_open, user_authenticate, user_register
from auth_app.sessions.browser import session_close, session_open
from core.errors import DATABASE_AWAY, BadRequest, Problem, database_away


class LoginForm(forms.Form):
    username = forms.CharField(max_length=150)
    password = forms.CharField(max_length=256, strip=False)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def login_page(request: HttpRequest) -> HttpResponse:
    """The login form, also for users who are signed in: the admin redirects users here who are not staff."""
    return _page(request, "login", _sign_in)


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def register_page(request: HttpRequest) -> HttpResponse:
    """Create an account and sign in. If registration is closed, the page says so."""
    return _page(request, "register", _register)


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


def _register(request: HttpRequest) -> HttpResponse:
    registration_require_open()
    told = RegisterInput(data=request.POST.dict())
    if not told.is_valid():
        raise BadRequest(validation_words(told.errors))
    if request.POST.get("again") != told.validated_data["password"]:
        raise BadRequest("The two passwords are not the same.")
    session_open(request, user_register(**told.validated_data, address=remote_address(request)))
    return HttpResponseRedirect(_next(request))


def _page(request: HttpRequest, what: str, submit: Callable[[HttpRequest], HttpResponse]) -> HttpResponse:
    """The form; with the problem, if `submit` raised one."""
    template = f"auth_app/{what}.html"
    if request.method != "POST":
        return _form(request, template)
    try:
        return submit(request)
    except Problem as problem:
        problem_denied(problem, identity=None, what=what, address=remote_address(request))
        return _form(request, template, problem)
    except DATABASE_AWAY as error:
        return _form(request, template, database_away(error))


def _form(request: HttpRequest, template: str, problem: Problem | None = None) -> HttpResponse:
    context = {
        "problem": problem,
        "next": _next(request),
        "username": request.POST.get("username", "")[:150],
        "email": request.POST.get("email", "")[:254],
        "is_open": settings.ALLOW_REGISTRATION,
    }
    response = render(request, template, context, status=problem.status if problem else 200)
    for name, value in (problem.headers if problem else {}).items():
        response[name] = value
    return response


def _next(request: HttpRequest) -> str:
    """The page after signing in: `next`, if it is on this host."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    stays = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if stays else settings.LOGIN_REDIRECT_URL
