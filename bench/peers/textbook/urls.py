"""The one route, and the one that says the server is up."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.peers.textbook.views import history


async def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


urlpatterns = [path("history/<str:device_id>", history), path("livez", livez)]
