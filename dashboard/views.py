"""The pages. Their modules in static/dashboard get all data from the API."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from core.errors import DATABASE_AWAY, database_away
from core.problems import problem_response


@never_cache
@gzip_page  # safe against BREACH: Django masks the CSRF token and pads compressed pages
@require_safe
def page(request: HttpRequest, template: str) -> HttpResponse:
    """Render a page for a signed-in user. Redirect other visitors to the login form, which leads back to the page."""
    try:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return render(request, template)
    except DATABASE_AWAY as error:
        return problem_response(database_away(error))
