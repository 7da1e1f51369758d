"""Routes of the schema, mounted at /api/."""

from django.urls import path

from schema_app import views

urlpatterns = [
    path("schema", views.schema, name="schema"),
    path("docs", views.docs, name="docs"),
]
