"""Settings. Everything that differs between installations comes from the environment: see .env.example."""

import secrets
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from core.accounts_database import BoundedConnection, accounts_database
from core.env import (
    env_choice,
    env_flag,
    env_int,
    env_list,
    env_origins,
    env_redis,
    env_secret,
    env_text,
    secrets_require_own,
    url_password,
)
from telemetry import logs
from telemetry.keys import MIN_SECRET_LENGTH
from telemetry.redis_url import redis_host

BASE_DIR = Path(__file__).resolve().parent.parent

# --- required settings -------------------------------------------------------------------------------------------
DEBUG = env_flag("DEBUG")
SECRET_KEY = env_secret(
    "SECRET_KEY", minimum_length=32, required=not DEBUG, weak_is_accepted=DEBUG
) or secrets.token_urlsafe(48)
INGEST_SECRET = env_secret("INGEST_SECRET", minimum_length=MIN_SECRET_LENGTH, required=False, weak_is_accepted=DEBUG)
METRICS_TOKEN = env_secret("METRICS_TOKEN", minimum_length=16, required=False, weak_is_accepted=DEBUG)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
ALLOWED_ORIGINS = env_origins("ALLOWED_ORIGINS")
ALLOW_REGISTRATION = env_flag("ALLOW_REGISTRATION")
REDIS_URL = env_redis("REDIS_URL", "redis://127.0.0.1:6379/0")
TELEMETRY_URL = env_text("TELEMETRY_URL", "postgresql://wattstream_reader@127.0.0.1:5432/wattstream")

if not DEBUG:
    secrets_require_own(
        {"SECRET_KEY": SECRET_KEY, "INGEST_SECRET": INGEST_SECRET, "METRICS_TOKEN": METRICS_TOKEN},
        passwords={
            "TELEMETRY_URL": url_password(TELEMETRY_URL),
            "REDIS_URL": url_password(REDIS_URL),
            "DATABASE_URL": url_password(env_text("DATABASE_URL")),
        },
    )

# --- limits ------------------------------------------------------------------------------------------------------
HTTP_HEAD_MAX_BYTES = env_int("HTTP_HEAD_MAX_BYTES", 64 * 1024, minimum=4096)
HTTP_HEAD_TIMEOUT_S = env_int("HTTP_HEAD_TIMEOUT_S", 10, minimum=1)
HTTP_BODY_MAX_BYTES = env_int("HTTP_BODY_MAX_BYTES", 1024 * 1024, minimum=1024)
HTTP_ANONYMOUS_BODY_MAX_BYTES = env_int("HTTP_ANONYMOUS_BODY_MAX_BYTES", 64 * 1024, minimum=1024)
HTTP_BODY_TIMEOUT_S = env_int("HTTP_BODY_TIMEOUT_S", 30, minimum=1)
HTTP_SLOW_PER_ADDRESS = env_int("HTTP_SLOW_PER_ADDRESS", 100, minimum=1)
TOKEN_LIFETIME_DAYS = env_int("TOKEN_LIFETIME_DAYS", 30, minimum=1)
TICKET_LIFETIME_S = 30  # the contract's expires_in
ACCESS_CACHE_S = 4  # with the log of access changes, a lost event has an effect within 5 s
POSTGRES_BIN = env_text("POSTGRES_BIN")  # for manage.py backup_accounts; empty: PATH
PASSWORD_HASHERS_AT_ONCE = env_int("PASSWORD_HASHERS_AT_ONCE", 2, minimum=1)
LOGIN_FAILURES_PER_ACCOUNT = env_int("LOGIN_FAILURES_PER_ACCOUNT", 10, minimum=1)
LOGIN_FAILURES_PER_ADDRESS = env_int("LOGIN_FAILURES_PER_ADDRESS", 100, minimum=1)
REGISTRATIONS_PER_ACCOUNT = env_int("REGISTRATIONS_PER_ACCOUNT", 50, minimum=1)
REGISTRATIONS_PER_ADDRESS = env_int("REGISTRATIONS_PER_ADDRESS", 100, minimum=1)
CLAIM_FAILURES_PER_USER = env_int("CLAIM_FAILURES_PER_USER", 10, minimum=1)
CLAIM_FAILURES_PER_ADDRESS = env_int("CLAIM_FAILURES_PER_ADDRESS", 100, minimum=1)
NAMES_GIVEN_PER_USER = env_int("NAMES_GIVEN_PER_USER", 30, minimum=1)
API_KEYS_MADE_PER_ACCOUNT = env_int("API_KEYS_MADE_PER_ACCOUNT", 200, minimum=1)
API_KEYS_MADE_PER_ADDRESS = env_int("API_KEYS_MADE_PER_ADDRESS", 1_000, minimum=1)
TICKETS_PER_ACCOUNT = env_int("TICKETS_PER_ACCOUNT", 50_000, minimum=1)
TICKETS_PER_ADDRESS = env_int("TICKETS_PER_ADDRESS", 200_000, minimum=1)
HANDSHAKE_FAILURES_PER_ACCOUNT = env_int("HANDSHAKE_FAILURES_PER_ACCOUNT", 1_000, minimum=1)
HANDSHAKE_FAILURES_PER_ADDRESS = env_int("HANDSHAKE_FAILURES_PER_ADDRESS", 2_000, minimum=1)
ATTEMPT_WINDOW_S = env_int("ATTEMPT_WINDOW_S", 300, minimum=1)
AUDIT_RETENTION_DAYS = env_int("AUDIT_RETENTION_DAYS", 90, minimum=1)
ACCOUNTS_TIMEOUT_MS = env_int("ACCOUNTS_TIMEOUT_MS", 5_000, minimum=100)
ACCOUNTS_POOL_SIZE = env_int("ACCOUNTS_POOL_SIZE", 8, minimum=2)  # PostgreSQL connections per process

HISTORY_MAX_POINTS = 5_000
HISTORY_MAX_EXPLICIT_POINTS = 10_000
HISTORY_MAX_DEVICES = env_int("HISTORY_MAX_DEVICES", 50, minimum=1)
HISTORY_MAX_QUERY_POINTS = env_int("HISTORY_MAX_QUERY_POINTS", 50_000, minimum=1)  # devices × points of one query
LATEST_MAX_DEVICES = env_int("LATEST_MAX_DEVICES", 1_000, minimum=1)
# Off: every response comes from raw rows: the same figures, more slowly. For comparing, and if tiers are in doubt.
HISTORY_USE_TIERS = env_flag("HISTORY_USE_TIERS", default=True)
HISTORY_TIMEOUT_MS = env_int("HISTORY_TIMEOUT_MS", 10_000, minimum=100)
TELEMETRY_POOL_SIZE = env_int("TELEMETRY_POOL_SIZE", 8, minimum=1)
TELEMETRY_POOL_WAITING = env_int("TELEMETRY_POOL_WAITING", 64, minimum=1)
TELEMETRY_POOL_TIMEOUT_MS = env_int("TELEMETRY_POOL_TIMEOUT_MS", 2_000, minimum=100)
TELEMETRY_POOL_LIFETIME_S = env_int("TELEMETRY_POOL_LIFETIME_S", 300, minimum=1)
TELEMETRY_STATEMENT_TIMEOUT_MS = env_int("TELEMETRY_STATEMENT_TIMEOUT_MS", 15_000, minimum=100)
EXPORTS_AT_ONCE = env_int("EXPORTS_AT_ONCE", 8, minimum=1)  # per process; each has its own connection
EXPORTS_PER_USER = env_int("EXPORTS_PER_USER", 2, minimum=1)
EXPORT_STALL_TIMEOUT_S = env_int("EXPORT_STALL_TIMEOUT_S", 30, minimum=1)
ENERGY_MAX_PERIODS = 10_000
DEVICE_ONLINE_S = env_int("DEVICE_ONLINE_S", 15, minimum=1)
SERVER_WORKERS = env_int("SERVER_WORKERS", 1, minimum=1)
SHUTDOWN_DRAIN_S = env_int("SHUTDOWN_DRAIN_S", 1)
SHUTDOWN_GRACE_S = env_int("SHUTDOWN_GRACE_S", 10, minimum=1)

LIVE_HEARTBEAT_S = 20  # the contract's heartbeat_s
LIVE_JOIN_TIMEOUT_S = env_int("LIVE_JOIN_TIMEOUT_S", 10, minimum=1)
LIVE_REFILL_TIMEOUT_S = env_int("LIVE_REFILL_TIMEOUT_S", 60, minimum=1)
LIVE_BACKLOG_MAX_READINGS = env_int("LIVE_BACKLOG_MAX_READINGS", 10_000, minimum=1)
LIVE_QUEUE_MAX_FRAMES = env_int("LIVE_QUEUE_MAX_FRAMES", 1_000, minimum=10)
LIVE_QUEUE_MAX_BYTES = env_int("LIVE_QUEUE_MAX_BYTES", 1024 * 1024, minimum=1024)
LIVE_FRAME_MAX_BYTES = env_int("LIVE_FRAME_MAX_BYTES", 64 * 1024, minimum=1024)
LIVE_FRAMES_PER_SECOND = env_int("LIVE_FRAMES_PER_SECOND", 100, minimum=1)
LIVE_DEVICES_PER_SOCKET = env_int("LIVE_DEVICES_PER_SOCKET", 200, minimum=1)
LIVE_SOCKETS_PER_USER = env_int("LIVE_SOCKETS_PER_USER", 1_000, minimum=1)

# --- Django ------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "auth_app",
    "devices_app",
    "history_app",
    "live_app",
    "schema_app",
    "dashboard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "auth_app.sessions.middleware.SessionTokenMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "asgi_project.urls"
ASGI_APPLICATION = "asgi_project.asgi.application"
WEBSOCKET_ROUTES = "live_app.routing.websocket_urlpatterns"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


def telemetry_database() -> dict[str, Any]:
    """The telemetry database under Django's own name for it; history reads it through its own pool."""
    told = conninfo_to_dict(TELEMETRY_URL)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": told.pop("dbname", "wattstream"),
        "USER": told.pop("user", ""),
        "PASSWORD": told.pop("password", ""),
        "HOST": told.pop("host", ""),
        "PORT": str(told.pop("port", "")),
        "CONN_HEALTH_CHECKS": True,
        # Each cold request runs on a separate thread and would open a separate connection.
        "OPTIONS": {
            "connect_timeout": 3,
            "tcp_user_timeout": 5_000,
            "pool": {
                "name": "last_seen",
                "connection_class": BoundedConnection,
                "min_size": 0,
                "max_size": 4,
                "timeout": 1.0,
                "reconnect_timeout": 1.0,
            },
            **told,
        },
    }


DATABASES = {
    "default": accounts_database(
        env_text("DATABASE_URL") or f"sqlite:///{BASE_DIR / 'wattstream.sqlite3'}",
        pool_size=ACCOUNTS_POOL_SIZE,
        pool_timeout_ms=ACCOUNTS_TIMEOUT_MS,
    ),
    "telemetry": telemetry_database(),
}
DATABASE_ROUTERS = ["history_app.store.router.TelemetryRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "auth_app.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["auth_app.rest.authentication.IdentityAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "auth_app.rest.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

# Offered to consumers that an installation adds. The project itself sends nothing through it
# (docs/decisions/005-live-path.md).
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [redis_host(REDIS_URL)]},
    },
}

# --- browsers ----------------------------------------------------------------------------------------------------
# asgi_project/headers.py sets the headers of every response.
TLS = env_flag("TLS")  # the public address is https
# With this prefix, a browser accepts the cookie only from this host and only over TLS (RFC 6265bis, section 4.1.3.2).
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = ("__Host-sessionid", "__Host-csrftoken") if TLS else ("sessionid", "csrftoken")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TLS
SESSION_ENGINE = "auth_app.sessions.store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS
CSRF_FAILURE_VIEW = "core.problems.csrf_failure"
# Only proxies in FORWARDED_ALLOW_IPS may state that a request used TLS (asgi_project/server/serve.py).
# Django's SECURE_PROXY_SSL_HEADER would trust every client that sends the header.
SECURE_SSL_REDIRECT = TLS
# Pages redirect to https. The API does not: a program would send its token in clear text unnoticed.
SECURE_REDIRECT_EXEMPT = [r"^(api/|livez$|readyz$|metrics$)"]
SECURE_HSTS_SECONDS = 31_536_000 if TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = TLS
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = HTTP_BODY_MAX_BYTES
# Bodies never go to disk.
FILE_UPLOAD_MAX_MEMORY_SIZE = HTTP_BODY_MAX_BYTES + 1

STATIC_URL = "/static/"
STATIC_ROOT = Path(env_text("STATIC_ROOT", str(BASE_DIR / ".local" / "static")))
STATICFILES_DIRS = [
    ("vendor/uplot", BASE_DIR / "dashboard" / "node_modules" / "uplot" / "dist"),
    ("wattstream-client", BASE_DIR / "clients" / "javascript" / "src"),
]

# --- language, time, logs ----------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

ACCESS_LOG_MIN_MS = env_int("ACCESS_LOG_MIN_MS", 100)
LOG_FORMAT = env_choice("LOG_FORMAT", "line", logs.FORMATS)
LOG_LEVEL = env_choice("LOG_LEVEL", "INFO", logs.LEVELS)
LOGGING = logs.logging_config(LOG_FORMAT, LOG_LEVEL)
LOGGING["loggers"] |= {
    "django.request": {"level": "ERROR"},
    "django.channels.server": {"level": "WARNING"},
    # The response is a 400. A traceback for each one would let a client fill the disk.
    "django.security.DisallowedHost": {"level": "CRITICAL"},
}
OTEL_EXPORTER_OTLP_ENDPOINT = env_text("OTEL_EXPORTER_OTLP_ENDPOINT")
