"""One route: the readiness check."""

from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("livez", lambda request: HttpResponse("ok"))]
