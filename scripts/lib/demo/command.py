"""The demo: databases, schema, accounts, 30 days of history, writer, simulator and server, until Ctrl-C."""

import argparse
import json
import os
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.console import ScriptError, entry, say, step
from lib.demo.supervisor import Supervisor
from lib.paths import LOCAL, ROOT
from lib.services.daemon import choose_port, is_free

ABOUT = """\
The whole of wattstream on this machine: a real TimescaleDB and Redis (or those that the environment names), three
simulated houses with 30 days of history at one reading a second, writer and server. Stops everything on Ctrl-C.
The first start installs what it needs and loads the history; the next ones take seconds.
Accounts and secrets are kept in .local/demo, or in the folder that DEMO_FOLDER names."""
FOLDER = Path(os.environ.get("DEMO_FOLDER") or LOCAL / "demo")
RUNNING = FOLDER / "running"
EXPORTED = ("SECRET_KEY", "INGEST_SECRET", "DATABASE_URL", "TELEMETRY_URL", "TELEMETRY_ADMIN_URL", "REDIS_URL")
PYTHON = str(ROOT / ".venv" / "bin" / "python")
HOUSES = ("demo_house", "demo_barn", "demo_flat")
READY_TIMEOUT_S = 60
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    port: int
    days: int
    env: bool


def main() -> int:
    options = parse_arguments()
    if options.env:
        return print_environment()
    started = time.monotonic()
    with ExitStack() as cleanup:
        for name in STOP_SIGNALS:
            signal.signal(name, interrupt)
        try:
            run(options, started, cleanup)
        except KeyboardInterrupt:
            say("\nstopping …")
        finally:
            # A second Ctrl-C must not leave some parts running.
            for name in STOP_SIGNALS:
                signal.signal(name, signal.SIG_IGN)
    say("stopped")
    return 0


def parse_arguments() -> Options:
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000, help="of the page (default: %(default)s, or a free one)")
    parser.add_argument("--days", type=int, default=30, help="of history to load (default: %(default)s)")
    parser.add_argument(
        "--env", action="store_true", help="print the export lines that lead to the running demo, for a second terminal"
    )
    return Options(**vars(parser.parse_args()))


def run(options: Options, started: float, cleanup: ExitStack) -> None:
    """Start everything in order, print the addresses, and keep it running until interrupted."""
    call([ROOT / "scripts" / "install"])
    secret = demo_secrets()
    env = {**os.environ, **databases(cleanup), **settings(secret)}
    with step("applying the schema"):
        manage(env, "telemetry_schema", "--apply")
        manage(env, "migrate", "--verbosity", "0")
        manage(env, "demo_accounts", *HOUSES, DEMO_PASSWORD=secret["password"])
    devices = [argument for house in HOUSES for argument in ("--device", house)]
    simulator = [PYTHON, "-m", "simulator"]
    call([*simulator, "load", "--days", str(options.days), *devices], env)
    parts = Supervisor(env)
    cleanup.callback(parts.stop)
    page = f"http://127.0.0.1:{port_or_free(options.port)}"
    ingest = f"http://127.0.0.1:{choose_port('the writer', None, None)}"
    with step("starting writer, simulator and server"):
        parts.start("writer", [PYTHON, "-m", "writer", "--port", ingest.rpartition(":")[2]])
        parts.wait_for("writer", ingest + "/livez", READY_TIMEOUT_S)
        parts.start("houses", [*simulator, "run", "--url", ingest, *devices])
        parts.start("server", [PYTHON, "-m", "asgi_project.server.serve", "--port", page.rpartition(":")[2]])
        parts.wait_for("server", page + "/readyz", READY_TIMEOUT_S)
    cleanup.callback(RUNNING.unlink, missing_ok=True)
    remember({**{name: env[name] for name in EXPORTED}, "URL": page, "WRITER": ingest})
    tell(page, ingest, secret["password"], time.monotonic() - started)
    parts.watch()


def tell(page: str, ingest: str, password: str, seconds: float) -> None:
    """Print the addresses, logins and commands on standard output."""
    lines = [
        "",
        f"  wattstream is running, {seconds:.0f} s after the start",
        "",
        f"  page     {page}",
        f"  sign in  alice / {password}   owns demo_house and demo_barn, shares demo_house with bob",
        f"           bob / {password}     owns demo_flat, sees demo_house",
        f"           admin / {password}   staff: {page}/admin/",
        f"  writer   {ingest}/ingest",
        "",
        '  Ctrl-C stops everything. Its environment, for a second terminal:  eval "$(./scripts/demo --env)"',
        "",
    ]
    print("\n".join(lines), flush=True)


def demo_secrets() -> dict[str, str]:
    """Create the secrets at the first start and keep them, readable by the owner only."""
    path = FOLDER / "secrets.json"
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = {
        "secret_key": secrets.token_urlsafe(48),
        "ingest_secret": secrets.token_urlsafe(48),
        "password": f"sunny-{secrets.token_hex(4)}",
    }
    write_secret(path, made)
    return made


def remember(environment: Mapping[str, str]) -> None:
    """Keep the lines that `--env` prints while the demo runs."""
    RUNNING.unlink(missing_ok=True)
    write_secret(RUNNING, environment)


def print_environment() -> int:
    """The export lines for a second terminal; `python` is the project's own there."""
    if not RUNNING.exists():
        raise ScriptError("The demo is not running: start it with ./scripts/demo.")
    for name, value in json.loads(RUNNING.read_text()).items():
        print(f"export {name}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(str(ROOT / ".venv/bin"))}:"$PATH"')
    return 0


def write_secret(path: Path, values: Mapping[str, str]) -> None:
    """Write a new file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(values, file)


def settings(secret: Mapping[str, str]) -> dict[str, str]:
    return {
        "SECRET_KEY": secret["secret_key"],
        "INGEST_SECRET": secret["ingest_secret"],
        "DATABASE_URL": f"sqlite:///{FOLDER / 'accounts.sqlite3'}",
        "DEBUG": "0",
        "ALLOW_REGISTRATION": os.environ.get("ALLOW_REGISTRATION", "1"),
    }


def databases(cleanup: ExitStack) -> dict[str, str]:
    """Start TimescaleDB and Redis unless the environment names them or they are running; return their URLs.

    Services that this run started are stopped at the end.
    """
    script = ROOT / "scripts" / "services"
    was_running = subprocess.run([script, "status"], stdout=subprocess.DEVNULL, check=False).returncode == 0
    if not was_running:
        cleanup.callback(call, [script, "stop"])
    call([script, "start"])
    told = subprocess.run([script, "env"], stdout=subprocess.PIPE, text=True, check=True).stdout
    exports = (shlex.split(line)[1].partition("=") for line in told.splitlines())
    return {name: value for name, _, value in exports}


def call(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
    """Run a step that shows its own progress. If it fails, it has printed the reason."""
    if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
        raise ScriptError("The demo stops here.")


def manage(env: Mapping[str, str], *arguments: str, **more: str) -> None:
    """Run a management command. Its output is shown only if it fails."""
    command = [PYTHON, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**env, **more}, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise ScriptError(f"manage.py {arguments[0]} failed.", (done.stdout + done.stderr).splitlines()[-5:])


def port_or_free(wanted: int) -> int:
    if is_free(wanted):
        return wanted
    port = choose_port("the page", None, None)
    say(f"port {wanted} is in use; taking {port}")
    return port


def interrupt(*_: Any) -> None:
    """End the demo on SIGTERM and on a closed terminal as on Ctrl-C."""
    raise KeyboardInterrupt


def script() -> int:
    return entry(main)
