"""The pages: frames for the modules in static/dashboard, which get all they show from the API."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from asgi_project.errors import DATABASE_AWAY, database_away, problem_response

# No inline code, no inline styles: uPlot sets its styles through the CSSOM, which style-src does not concern.
# 'self' in connect-src covers the websocket of the same host (CSP 3).
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


@never_cache
@require_safe
def page(request: HttpRequest, template: str) -> HttpResponse:
    """A page for who is signed in. Who is not is sent to the form, and comes back."""
    try:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        response = render(request, template)
    except DATABASE_AWAY as error:
        return problem_response(database_away(error))
    response["Content-Security-Policy"] = POLICY
    return response
