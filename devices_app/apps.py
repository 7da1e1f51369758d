"""App configuration."""

from django.apps import AppConfig


class DevicesAppConfig(AppConfig):
    name = "devices_app"
    verbose_name = "Devices"
