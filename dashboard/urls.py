"""Routes of the pages."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from dashboard import views

urlpatterns = [
    path("", views.page, {"template": "dashboard/dashboard.html"}, name="dashboard"),
    path("devices", views.page, {"template": "dashboard/devices.html"}, name="devices-page"),
    path("account", views.page, {"template": "dashboard/account.html"}, name="account-page"),
    # Browsers request this path for pages that name no icon.
    path("favicon.ico", RedirectView.as_view(url=static("dashboard/icon.svg")), name="favicon"),
]
