"""Redis without persistence: everything in it is rebuilt from TimescaleDB."""

import shutil
import signal
import socket
from pathlib import Path

from lib.console import step
from lib.machine.account import give
from lib.services.daemon import Daemon
from lib.services.instance import Instance

NAME = "Redis"
# Without its own process title, the command line identifies the server.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
pidfile "{folder}/redis.pid"
appendonly no
save ""
daemonize no
set-proc-title no
"""


def daemon(instance: Instance) -> Daemon:
    """Return the server process."""
    folder = instance.data / "redis"
    stop_signals = [(signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)]
    return Daemon(NAME, folder / "redis.pid", str(folder / "redis.conf"), instance.data / "redis.log", stop_signals)


def is_running(instance: Instance) -> bool:
    """Return whether the server is running."""
    return daemon(instance).pid() is not None


def start(instance: Instance, prefix: Path) -> None:
    """Start the server with its own configuration."""
    folder = instance.data / "redis"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    file = folder / "redis.conf"
    file.touch(mode=0o600)
    file.write_text(CONFIGURATION.format(port=instance.redis_port, password=instance.redis_password, folder=folder))
    give(file)
    give(folder)
    with step("starting Redis"):
        daemon(instance).start([prefix / "usr/bin/redis-server", file], lambda: is_ready(instance))


def is_ready(instance: Instance) -> bool:
    """Return whether the server accepts the password."""
    try:
        with socket.create_connection(("127.0.0.1", instance.redis_port or 0), timeout=1) as connection:
            connection.sendall(f"AUTH {instance.redis_password}\r\n".encode())
            return connection.recv(16).startswith(b"+OK")
    except OSError:
        return False
