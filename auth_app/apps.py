"""App configuration."""

from django.apps import AppConfig


class AuthAppConfig(AppConfig):
    name = "auth_app"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from auth_app.events import publish_with
        from auth_app.publisher import change_publish

        publish_with(change_publish)
