"""The page's routes."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from dashboard import views

urlpatterns = [
    path("", views.dashboard_page, name="dashboard"),
    # Browsers ask for it by this name wherever a page names no icon.
    path("favicon.ico", RedirectView.as_view(url=static("dashboard/icon.svg")), name="favicon"),
]
