"""Every HTTP route."""

from django.contrib import admin
from django.urls import include, path

from asgi_project.observability import health
from auth_app.urls import api_urlpatterns, page_urlpatterns

urlpatterns = [
    path("api/", include("history_app.urls")),
    path("api/", include("live_app.urls")),
    path("api/auth/", include(api_urlpatterns)),
    path("api/", include("devices_app.urls")),
    path("api/", include("schema_app.urls")),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics_of_server"),
    path("admin/", admin.site.urls),
    path("", include(page_urlpatterns)),
    path("", include("dashboard.urls")),
]

handler400 = "core.problems.bad_request"
handler403 = "core.problems.forbidden"
handler404 = "core.problems.not_found"
handler500 = "core.problems.server_error"
