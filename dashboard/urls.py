"""The page's route."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
