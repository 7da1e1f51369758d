"""The one page, which says that the server is up."""

from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("livez", lambda request: HttpResponse("ok"))]
