"""scripts/services with real servers: they start, accept only clients with the password, and stop."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from lib.machine import sources
from lib.paths import ROOT

pytestmark = pytest.mark.processes

URLS = ("TELEMETRY_URL", "TELEMETRY_ADMIN_URL", "REDIS_URL")


def services(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script. Of the variables that it reads, only those in `environment` are set."""
    rest = {name: value for name, value in os.environ.items() if name not in URLS}
    command = [ROOT / "scripts/services", *arguments]
    return subprocess.run(command, env=rest | environment, capture_output=True, text=True, timeout=120, check=False)


def exports(data: Path) -> dict[str, str]:
    """Return the variables that a shell would have after evaluating the output of `env`."""
    printed = services("env", "--data", data)
    assert printed.returncode == 0, printed.stderr
    words = [shlex.split(line) for line in printed.stdout.splitlines()]
    assert all(export == "export" for export, _ in words)
    return dict(setting.split("=", 1) for _, setting in words)


def pids(data: Path) -> list[int]:
    """Return the process ids of the two servers."""
    return [int((data / file).read_text().split()[0]) for file in ("postgres/postmaster.pid", "redis/redis.pid")]


def is_alive(pid: int) -> bool:
    """Return whether the process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def refused(url: str) -> bool:
    """Return whether the database rejects this login."""
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return "password authentication failed" in str(error)
    return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that the servers' user can access; it cannot access pytest's."""
    made = Path(tempfile.mkdtemp(prefix="wattstream-test-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    services("stop", "--data", made)
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """The data folder of two running servers."""
    made = Path(tempfile.mkdtemp(prefix="wattstream-test-", dir="/var/tmp"))
    made.chmod(0o755)
    started = services("start", "--data", made)
    assert started.returncode == 0, started.stderr
    yield made
    services("stop", "--data", made)
    shutil.rmtree(made)


def test_the_database_has_timescaledb(data: Path) -> None:
    with psycopg.connect(exports(data)["TELEMETRY_ADMIN_URL"]) as connection:
        connection.execute("CREATE TABLE pulse (time timestamptz NOT NULL)")
        connection.execute("SELECT create_hypertable('pulse', 'time')")
        connection.execute("INSERT INTO pulse VALUES (now())")
        row = connection.execute("SELECT count(*), current_user FROM pulse").fetchone()
        assert row == (1, "wattstream_owner")


def test_databases_of_the_owner_have_timescaledb(data: Path) -> None:
    url = exports(data)["TELEMETRY_ADMIN_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
    with psycopg.connect(url, dbname="another") as connection:
        assert connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() == (1,)


def test_the_database_requires_the_password(data: Path) -> None:
    url = urlsplit(exports(data)["TELEMETRY_ADMIN_URL"])
    assert not refused(url.geturl())
    assert refused(url.geturl().replace(f":{url.password}@", ":wrong@"))
    assert refused(f"postgresql://postgres:wrong@127.0.0.1:{url.port}/postgres")


def test_redis_requires_the_password(data: Path) -> None:
    url = urlsplit(exports(data)["REDIS_URL"])
    assert redis.Redis.from_url(url.geturl()).ping()
    for password in (None, "wrong"):
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=url.port or 0, password=password, retry=Retry(NoBackoff(), 0)).ping()


def test_passwords_are_readable_by_their_owner_only(data: Path) -> None:
    kept = data / "instance.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    passwords = [value for name, value in json.loads(kept.read_text()).items() if "password" in name]
    assert len(set(passwords)) == len(passwords) == 4
    assert all(len(password) >= 32 for password in passwords)


def test_env_names_the_reader_the_owner_and_redis(data: Path) -> None:
    urls = {name: urlsplit(url) for name, url in exports(data).items()}
    assert tuple(urls) == URLS
    assert [(url.scheme, url.username, url.hostname, url.path) for url in urls.values()] == [
        ("postgresql", "wattstream_reader", "127.0.0.1", "/wattstream"),
        ("postgresql", "wattstream_owner", "127.0.0.1", "/wattstream"),
        ("redis", "", "127.0.0.1", "/0"),
    ]


def test_a_second_start_changes_nothing_even_with_the_output_of_env_set(data: Path) -> None:
    before, urls = pids(data), exports(data)
    again = services("start", "--data", data, **urls)
    assert again.returncode == 0
    assert again.stderr.count("already running") == 2
    assert (pids(data), exports(data)) == (before, urls)


def test_status_sets_the_exit_code(data: Path, folder: Path) -> None:
    assert services("status", "--data", data).returncode == 0
    assert services("status", "--data", folder).returncode == 3


def test_databases_named_by_the_environment_are_used_and_printed(folder: Path) -> None:
    others = {name: f"scheme://someone:it's@elsewhere/{name}" for name in URLS}
    assert services("start", "--data", folder, **others).stderr.count("using the one that the environment names") == 2
    assert not any(folder.iterdir())
    echoed = services("env", "--data", folder, **others).stdout
    assert [shlex.split(line)[1] for line in echoed.splitlines()] == [f"{name}={url}" for name, url in others.items()]


def test_one_of_two_database_urls_is_rejected(folder: Path) -> None:
    half = services("start", "--data", folder, TELEMETRY_URL="postgresql://someone@elsewhere/db")
    assert half.returncode == 1
    assert "TELEMETRY_ADMIN_URL is not" in half.stderr


def test_env_without_running_servers_says_what_to_do(folder: Path) -> None:
    printed = services("env", "--data", folder)
    assert (printed.returncode, printed.stdout) == (1, "")
    assert "services start" in printed.stderr


def test_a_folder_with_other_content_is_not_changed(folder: Path) -> None:
    (folder / "postgres").mkdir()
    refusal = services("start", "--data", folder)
    assert refusal.returncode == 1
    assert "holds something else" in refusal.stderr


def test_a_port_in_use_is_rejected_by_number(data: Path, folder: Path) -> None:
    taken = str(urlsplit(exports(data)["REDIS_URL"]).port)
    refusal = services("start", "--data", folder, "--postgres-port", taken)
    assert refusal.returncode == 1
    assert f"Port {taken} is taken" in refusal.stderr


def test_start_recovers_from_an_interrupted_start_and_a_crash(folder: Path) -> None:
    assert services("start", "--data", folder).returncode == 0
    (folder / "postgres-is-set-up").unlink()  # as if killed before the roles existed
    assert services("start", "--data", folder).returncode == 0
    with psycopg.connect(exports(folder)["TELEMETRY_ADMIN_URL"]) as connection:
        connection.execute("CREATE TABLE kept ()")

    for pid in pids(folder):
        os.kill(pid, signal.SIGKILL)
    (folder / "redis/redis.pid").write_text(str(os.getpid()))  # another process has this id now
    assert services("start", "--data", folder).returncode == 0
    with psycopg.connect(exports(folder)["TELEMETRY_ADMIN_URL"]) as connection:
        connection.execute("TABLE kept")

    running = pids(folder)
    assert all(map(is_alive, running))
    assert services("stop", "--data", folder).returncode == 0
    assert not any(map(is_alive, running))
    assert services("stop", "--data", folder).stderr.count("was not running") == 2


ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib  # trailing words
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/debian-archive-keyring.pgp] http://mirror.example/debian bookworm-updates main
deb [ signed-by=/etc/apt/keyrings/someone.gpg ] http://third-party.example/debian bookworm main
deb http://security.example/debian-security stable-security main
deb cdrom:[Debian]/ bookworm main
"""
DEB822 = """\
# A comment before the first stanza
Types: deb deb-src
URIs: http://mirror.example/debian
# a comment within
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://switched-off.example/debian
Suites: bookworm
Components: main
Enabled: no


Types: deb
URIs: http://third-party.example/apt
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

types: deb
uris: http://security.example/debian-security
suites: bookworm-security bookworm-backports
components: main"""
MIRRORS = [
    ("http://mirror.example/debian", "trixie"),
    ("http://mirror.example/debian", "trixie-updates"),
    ("http://security.example/debian-security", "trixie-security"),
]


def test_debian_mirrors_are_found_in_one_line_sources() -> None:
    assert sources.for_release(sources.parse_list(ONE_LINE), own="bookworm", wanted="trixie") == MIRRORS


def test_debian_mirrors_are_found_in_deb822_sources() -> None:
    assert sources.for_release(sources.parse_deb822(DEB822), own="bookworm", wanted="trixie") == MIRRORS


def test_sources_of_both_formats_are_read_from_the_apt_folders(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/ignored.disabled").write_text(ONE_LINE)
    found = sources.read_sources(tmp_path)
    assert found == [*sources.parse_list(ONE_LINE), *sources.parse_deb822(DEB822)]
