"""manage.py asyncapi: print the AsyncAPI document of the sockets."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from core.version import version
from schema_app.asyncapi import asyncapi_document


class Command(BaseCommand):
    help = "Print the AsyncAPI 3.0 document of the sockets; docs/asyncapi.json is this."

    def handle(self, *args: Any, **options: Any) -> None:
        document = asyncapi_document(version())
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False))
