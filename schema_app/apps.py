"""The schema as a Django app, for its template, its style sheet and its command."""

from django.apps import AppConfig


class SchemaConfig(AppConfig):
    name = "schema_app"
