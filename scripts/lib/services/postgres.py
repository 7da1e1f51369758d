"""PostgreSQL with TimescaleDB: created once, then started and stopped."""

import shutil
import signal
import tempfile
from pathlib import Path

from lib.console import run, step
from lib.machine.account import AS_SERVER, give
from lib.machine.prefix import POSTGRES_BIN
from lib.services.daemon import Daemon
from lib.services.instance import Instance

NAME = "TimescaleDB"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket path is limited to 107 bytes, which a test's folder may exceed
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "max_locks_per_transaction": "256",  # one per chunk and index that a statement touches
    "timescaledb.max_background_workers": "0",  # Debian's package is the Apache edition, which has no background jobs
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Extensions go into template1, so that every database created later has them.
SETUP = """
\\connect template1
CREATE EXTENSION timescaledb;
\\connect postgres
CREATE ROLE wattstream_owner LOGIN CREATEROLE CREATEDB PASSWORD '{owner_password}';
CREATE DATABASE wattstream OWNER wattstream_owner;
"""
# Everyone may create large objects until a superuser revokes that, in each database; new ones are copies of template1.
RESTRICTIONS = "".join(
    f"\\connect {database}\n"
    "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;\n"
    for database in ("template1", "wattstream")
)


def daemon(instance: Instance) -> Daemon:
    """Return the server process. SIGINT ends the client sessions first; SIGQUIT ends the server at once."""
    folder = instance.data / "postgres"
    stop_signals = [(signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)]
    return Daemon(NAME, folder / "postmaster.pid", str(folder), instance.data / "postgres.log", stop_signals)


def set_up_stamp(instance: Instance) -> Path:
    """Return the file that is written when the database is complete."""
    return instance.data / "postgres-is-set-up"


def is_set_up(instance: Instance) -> bool:
    """Return whether the database is complete, not left by an interrupted run."""
    return set_up_stamp(instance).exists()


def is_running(instance: Instance) -> bool:
    """Return whether a complete database is being served."""
    return is_set_up(instance) and daemon(instance).pid() is not None


def start(instance: Instance, prefix: Path) -> None:
    """Start the server. Create the database first if it is missing or incomplete."""
    folder = instance.data / "postgres"
    server = daemon(instance)
    if not is_set_up(instance):
        server.stop()
        create(folder, prefix, instance.superuser_password)
    command = [prefix / POSTGRES_BIN / "postgres", "-D", folder, "-p", str(instance.postgres_port)]
    with step("starting TimescaleDB"):
        server.start([*command, *(f"--{name}={value}" for name, value in SETTINGS.items())], lambda: is_ready(server))
    if not is_set_up(instance):
        with step("creating roles, database and extension"):
            run_sql(instance, prefix, SETUP.format(owner_password=instance.owner_password))
        set_up_stamp(instance).touch()
    run_sql(instance, prefix, RESTRICTIONS)  # an older version did not


def create(folder: Path, prefix: Path, password: str) -> None:
    """Create an empty database cluster that requires a password from everyone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    give(folder)
    with tempfile.NamedTemporaryFile("w", dir=folder.parent) as file, step("creating the database"):
        file.write(password)
        file.flush()
        give(Path(file.name))
        options = ["-D", folder, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={file.name}", "--encoding=UTF8"]
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [*AS_SERVER, prefix / POSTGRES_BIN / "initdb", *options]
        run(command, failing="PostgreSQL's initdb could not make the database.", cwd=folder.parent)


def is_ready(server: Daemon) -> bool:
    """Return whether the server accepts connections: the last line of its process id file says so."""
    return server.pid() is not None and server.pid_file.read_text().split()[-1] == "ready"


def run_sql(instance: Instance, prefix: Path, sql: str) -> str:
    """Run SQL as the superuser."""
    address = f"host=127.0.0.1 port={instance.postgres_port} user=postgres dbname=postgres"
    command = [prefix / POSTGRES_BIN / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", address]
    # Pass nothing else from the environment: it may hold settings for another server.
    login = {"PGPASSWORD": instance.superuser_password, "LC_ALL": "C"}
    return run(command, failing="The new database cannot be set up.", input=sql, env=login)
