"""TimescaleDB and Redis for this checkout: start, stop, status, env."""

import argparse
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lib.console import ScriptError, entry, locked, say
from lib.machine import account, prefix
from lib.paths import shown
from lib.services import postgres, redis
from lib.services.daemon import Daemon, choose_port
from lib.services.instance import Instance

ABOUT = """\
A real TimescaleDB and a real Redis, on loopback, without root and without Docker.

  start   start them (the first time fetches Debian's packages, about 10 s); does nothing where they are running
  stop    stop them
  status  say what is running and where; exit code 0 when all is, 3 when not
  env     print the export lines that lead to them: eval "$(./scripts/services env)"

Where TELEMETRY_URL and TELEMETRY_ADMIN_URL, or REDIS_URL, already name servers of yours, those are used and none are
started in their place. Passwords are made at the first start and kept in instance.json beside the data, readable by
you only; the superuser's (user postgres) is there too."""
NOT_RUNNING = 3


@dataclass(frozen=True)
class ServerKind:
    """One of the two servers, with the functions that control it."""

    name: str
    port_field: str
    variables: tuple[str, ...]
    daemon: Callable[[Instance], Daemon]
    is_running: Callable[[Instance], bool]
    start: Callable[[Instance, Path], None]

    def port(self, instance: Instance) -> int | None:
        """The port it has, or had when it last ran."""
        port: int | None = getattr(instance, self.port_field)
        return port


SERVICES = [
    ServerKind(
        postgres.NAME,
        "postgres_port",
        ("TELEMETRY_URL", "TELEMETRY_ADMIN_URL"),
        postgres.daemon,
        postgres.is_running,
        postgres.start,
    ),
    ServerKind(redis.NAME, "redis_port", ("REDIS_URL",), redis.daemon, redis.is_running, redis.start),
]


def main() -> int:
    """Parse the arguments and run the action."""
    options = parse_arguments()
    folder = account.services_folder()
    data = options.data.resolve() if options.data else folder / "data"
    if options.action == "start":
        return start(folder / "prefix", data, vars(options))
    if options.reserve:
        reserve(data)
    instance = Instance.load(data)
    if options.action == "env":
        return print_environment(instance, reserved=options.reserve)
    return stop(instance) if options.action == "stop" else status(instance)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop", "status", "env"])
    parser.add_argument("--data", type=Path, metavar="DIR", help="another pair of servers, with its data in DIR")
    parser.add_argument("--postgres-port", type=int, metavar="N", help="to start on; default: the last, or a free one")
    parser.add_argument("--redis-port", type=int, metavar="N", help="to start on; default: the last, or a free one")
    parser.add_argument(
        "--reserve", action="store_true", help="with env: choose ports and passwords now, for servers started later"
    )
    return parser.parse_args()


def reserve(data: Path) -> None:
    """Choose ports and passwords for servers that are not running yet, so that their addresses are known."""
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    with locked(data / "lock"):
        instance = Instance.load(data) or Instance.create(data)
        for service in SERVICES:
            if not service.is_running(instance):
                setattr(instance, service.port_field, choose_port(service.name, None, service.port(instance)))
        instance.save()


def start(programs: Path, data: Path, asked: dict[str, int | None]) -> int:
    """Start the servers that the environment does not name and that are not running yet."""
    instance = Instance.load(data)
    wanted = [service for service in SERVICES if not is_given(service, instance)]
    for service in SERVICES:
        if service not in wanted:
            say(f"{service.name}: using the one that the environment names")
    if not wanted:
        return 0
    prefix.prepare(programs)
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    with locked(data / "lock"):
        instance = Instance.load(data) or Instance.create(data)
        if not account.can_reach(data):
            raise ScriptError(
                f"{shown(data)} is out of reach for nobody, who runs the servers for root: use another --data."
            )
        for service in wanted:
            start_one(service, instance, programs, asked[service.port_field])
    return 0


def start_one(service: ServerKind, instance: Instance, programs: Path, asked: int | None) -> None:
    """Start one server, or report that it is running."""
    if service.is_running(instance):
        if asked not in (None, service.port(instance)):
            raise ScriptError(f"{service.name} is already running on port {service.port(instance)}: stop it first.")
        say(f"{service.name}: already running on 127.0.0.1:{service.port(instance)}")
        return
    setattr(instance, service.port_field, choose_port(service.name, asked, service.port(instance)))
    instance.save()
    service.start(instance, programs)
    say(f"{service.name}: running on 127.0.0.1:{service.port(instance)}")


def stop(instance: Instance | None) -> int:
    """Stop the running servers."""
    if instance is None:
        say("nothing to stop: never started")
        return 0
    with locked(instance.data / "lock"):
        for service in SERVICES:
            say(f"{service.name}: {'stopped' if service.daemon(instance).stop() else 'was not running'}")
    return 0


def status(instance: Instance | None) -> int:
    """Print which servers are running, with addresses and logs."""
    missing = False
    for service in SERVICES:
        daemon = service.daemon(instance) if instance else None
        if is_given(service, instance):
            print(f"{service.name}: the one that the environment names")
        elif instance and daemon and (pid := daemon.pid()):
            address = f"127.0.0.1:{service.port(instance)}"
            print(f"{service.name}: running on {address}, process {pid}, log {shown(daemon.log)}")
        else:
            print(f"{service.name}: not running")
            missing = True
    return NOT_RUNNING if missing else 0


def print_environment(instance: Instance | None, *, reserved: bool) -> int:
    """Print the export lines: the environment's values for servers that it names, else ours.

    `reserved`: include servers that are not running.
    """
    values: dict[str, str] = {}
    for service in SERVICES:
        if is_given(service, instance):
            values |= {name: os.environ[name] for name in service.variables}
        elif instance and (reserved or service.is_running(instance)):
            values |= {name: instance.urls()[name] for name in service.variables}
        else:
            raise ScriptError(f"{service.name} is not running: run ./scripts/services start.")
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def is_given(service: ServerKind, instance: Instance | None) -> bool:
    """Return whether the environment names a foreign server. Lines that `env` printed name ours."""
    ours = {urlsplit(url).password for url in instance.urls().values()} if instance else set()
    values = {name: os.environ.get(name, "") for name in service.variables}
    given = [name for name, value in values.items() if value and urlsplit(value).password not in ours]
    if given and len(given) < len(values):
        missing = ", ".join(name for name in values if name not in given)
        raise ScriptError(f"{given[0]} is set and {missing} is not: set both to use your own database, or neither.")
    return bool(given)


def script() -> int:
    """The entry point of scripts/services."""
    return entry(main)
