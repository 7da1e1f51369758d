"""History routes, mounted at /api/."""

from django.urls import path

from history_app import views

urlpatterns = [
    path("history/query", views.histories, name="query"),
    path("history/<str:device_id>", views.history, name="history"),
    path("history/<str:device_id>/export", views.export, name="export"),
    path("energy", views.energies, name="energies"),
    path("energy/<str:device_id>", views.energy, name="energy"),
    path("latest", views.latest, name="latest"),
    path("metrics", views.metrics, name="metrics"),
]
