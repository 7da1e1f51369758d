"""The settings of `startproject` with the tutorial's additions. BENCH_LAYER selects the channel layer."""

import os

SECRET_KEY = "of a peer in a measurement"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["daphne", "channels", "django.contrib.contenttypes", "django.contrib.auth"]
ROOT_URLCONF = "bench.peers.channels_tutorial.urls"
ASGI_APPLICATION = "bench.peers.channels_tutorial.asgi.application"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
_BACKENDS = {
    "channels": "channels_redis.core.RedisChannelLayer",
    "channels-pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
_HOST = {"address": os.environ["REDIS_URL"], "socket_timeout": None}
CHANNEL_LAYERS = {"default": {"BACKEND": _BACKENDS[os.environ["BENCH_LAYER"]], "CONFIG": {"hosts": [_HOST]}}}
