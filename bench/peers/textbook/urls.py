"""The measured route and the readiness check."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.peers.textbook.views import history


async def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


urlpatterns = [path("history/<str:device_id>", history), path("livez", livez)]
