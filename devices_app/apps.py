"""App configuration."""

from django.apps import AppConfig


class DevicesAppConfig(AppConfig):
    name = "devices_app"
    verbose_name = "Devices"

    def ready(self) -> None:
        from auth_app.services import before_user_deletion
        from devices_app.services import devices_of_deleted_user_announce

        before_user_deletion(devices_of_deleted_user_announce)
