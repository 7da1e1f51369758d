"""App configuration."""

from django.apps import AppConfig


class HistoryAppConfig(AppConfig):
    name = "history_app"
    verbose_name = "History"

    def ready(self) -> None:
        from devices_app.presence import add_source
        from history_app.store.last_seen import stored_times

        add_source(stored_times)
