"""The page's route."""

from django.urls import path

from dashboard import views

urlpatterns = [
    path("", views.dashboard_page, name="dashboard"),
]
