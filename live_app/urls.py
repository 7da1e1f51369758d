"""Live routes over HTTP, mounted at /api/."""

from django.urls import path

from live_app import views

urlpatterns = [
    path("stream", views.event_stream, name="stream"),
]
