"""compose.yaml: valid, one published port, and every command in it runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

from testing.process import ROOT, Process, free_port
from testing.stack import Stack
from tests.project.deployment import (
    COMPOSE,
    COMPOSE_FILE,
    COMPOSE_TEXT,
    FRONTS,
    OWN,
    POSTGRESQL,
    SERVICES,
    image_environment,
    tool,
)
from tests.project.variables import SECRET_NAME, documented, reads

pytestmark = pytest.mark.processes

DOCUMENTED = documented()
SECRETS = sorted(name for name, entry in DOCUMENTED.items() if entry.is_set)
INTERPOLATED = re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)(:[?-])?([^}]*)\}", COMPOSE_TEXT)
# Containers do not get these: DEBUG is for development; paths to static files and programs are fixed in the image.
NOT_PASSED_ON = {"DEBUG", "STATIC_ROOT", "POSTGRES_BIN"}
SERVER_PARTS = ("asgi_project", "auth_app", "devices_app", "history_app", "live_app", "telemetry")


def compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run docker compose with exactly these variables. It needs no engine."""
    return subprocess.run(
        [tool("docker-compose"), "--file", COMPOSE_FILE, *arguments],
        env={"PATH": os.defpath, "HOME": "/nonexistent", **environment}, cwd="/",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new .env from scripts/env."""
    path = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([ROOT / "scripts/env", "--output", path], check=True, capture_output=True, timeout=30)
    return path


@pytest.fixture(scope="module")
def resolved(env_file: Path) -> dict[str, Any]:
    """The services as docker compose resolves them."""
    done = compose("--env-file", str(env_file), "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


def test_docker_compose_accepts_the_file(resolved: dict[str, Any]) -> None:
    assert resolved.keys() == {"timescaledb", "redis", "schema", "writer", "server", "front"}


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_stops_compose_and_says_what_to_do(name: str) -> None:
    others = {secret: "x" for secret in SECRETS if secret != name}
    done = compose("config", "--quiet", **others)
    assert done.returncode != 0
    assert f"required variable {name} is missing a value: run ./scripts/env" in done.stderr


def test_no_secret_has_a_default_or_is_in_the_file() -> None:
    for name, how, _ in INTERPOLATED:
        assert (how == ":?") == bool(SECRET_NAME.search(name)), name
    for service in SERVICES.values():
        for name, value in (service.get("environment") or {}).items():
            if SECRET_NAME.search(name):
                assert value.startswith("${"), name


def test_every_variable_in_the_file_is_documented() -> None:
    passed_on = {name for service in SERVICES.values() for name, value in environment(service).items() if value is None}
    assert {name for name, _, _ in INTERPOLATED} | passed_on <= DOCUMENTED.keys()


def environment(service: dict[str, Any]) -> dict[str, str | None]:
    return dict(service.get("environment") or {})


@pytest.mark.parametrize(
    ("service", "parts"),
    [
        ("server", SERVER_PARTS),
        ("server-1", SERVER_PARTS),
        ("writer", ("writer", "telemetry")),
        ("writer-scale", ("writer", "telemetry")),
    ],
)
def test_every_setting_reaches_its_service(service: str, parts: tuple[str, ...]) -> None:
    settings = {read.name for read in reads() if read.file.split("/")[0] in parts and "/management/" not in read.file}
    given = environment(SERVICES[service]).keys() | NOT_PASSED_ON
    assert settings - given == set()


def test_the_documented_defaults_match_those_of_the_file() -> None:
    for name, how, default in INTERPOLATED:
        if how == ":-" and name.startswith("WATTSTREAM_"):
            assert DOCUMENTED[name].default == default


def test_the_server_does_not_get_the_owner_role() -> None:
    given = environment(SERVICES["server"])
    assert "TELEMETRY_ADMIN_URL" not in given
    assert "_OWNER_" not in json.dumps(given)
    assert "wattstream_reader:" in str(given["TELEMETRY_URL"])
    for name in ("schema", "writer"):
        assert "wattstream_owner:" in str(environment(SERVICES[name])["TELEMETRY_ADMIN_URL"])


def test_one_port_is_published_and_only_the_front_reaches_other_hosts() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == set(FRONTS)
    for name in FRONTS:  # only one of the two runs
        assert SERVICES[name]["ports"] == ["${WATTSTREAM_PORT:-8000}:8080"]
    closed = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= closed or name in FRONTS, name
        assert service["networks"] == ["data"] or name in (*OWN, *FRONTS), name
    for name in FRONTS:
        assert "data" not in SERVICES[name]["networks"]


def test_only_the_front_is_trusted_about_client_addresses() -> None:
    (subnet,) = [entry["subnet"] for entry in COMPOSE["networks"]["web"]["ipam"]["config"]]
    assert environment(SERVICES["server"])["FORWARDED_ALLOW_IPS"] == subnet


@pytest.mark.parametrize("name", SERVICES)
def test_containers_have_least_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    # Only the database images start as root. They change the owner of their folder and then drop root.
    assert ("cap_add" in service) == (name in POSTGRESQL)
    assert "user" in service or name in (*OWN, *POSTGRESQL)
    for mount in service.get("volumes") or []:
        source, _, options = mount.split(":", 2) if mount.count(":") == 2 else (*mount.split(":"), "")
        assert source in COMPOSE["volumes"] or (options == "ro" and (ROOT / source).is_file())


@pytest.mark.parametrize("name", SERVICES)
def test_containers_have_health_checks_restarts_and_dependencies(name: str) -> None:
    service = SERVICES[name]
    if name == "schema":
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "retries"} <= service["healthcheck"].keys()
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] == ("service_completed_successfully" if other == "schema" else "service_healthy")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OWN)))
def test_images_have_a_version_and_no_registry(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"([a-z]+/)?[a-z]+:\d+(\.\d+)*-[a-z0-9]+", image), image


def test_timescaledb_uses_the_postgresql_version_of_the_tests(stack: Stack) -> None:
    with stack.admin() as connection:
        major = connection.info.server_version // 10_000
    assert SERVICES["timescaledb"]["image"].endswith(f"-pg{major}")


# --- the commands ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
def test_commands_of_the_projects_image_exist(name: str) -> None:
    program, what, *rest = SERVICES[name]["command"]
    assert program == "python"
    if what == "-m":
        assert importlib.util.find_spec(rest[0])
    else:
        assert (ROOT / what).is_file()
        assert rest[0] in get_commands()


def adapted(command: list[str], folder: Path) -> list[str]:
    """Return the command of a service, in the image's files, on a loopback port."""
    words = [{"python": sys.executable, "0.0.0.0": "127.0.0.1"}.get(word, word) for word in command]
    port = words.index("--port") + 1
    return ["env", "--chdir", str(folder), *words[:port], "{port}", *words[port + 1 :]]


@pytest.fixture(scope="module")
def container_env(stack: Stack, image: Path) -> dict[str, str]:
    """The test databases; all other variables as in the image."""
    return {**stack.env, "STATIC_ROOT": str(image / ".static"), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize("name", ["writer", "server"])
def test_the_exact_command_starts_and_its_health_check_works(
    name: str, image: Path, container_env: dict[str, str], tmp_path: Path
) -> None:
    service = SERVICES[name]
    given = {key: value for key, value in container_env.items() if key in environment(service) | image_environment()}
    if name == "server":
        assert "TELEMETRY_ADMIN_URL" not in given
        # ALLOWED_HOSTS as in an installation: its host name after the names that compose.yaml adds.
        template = str(environment(service)["ALLOWED_HOSTS"])
        given["ALLOWED_HOSTS"] = template.replace("${ALLOWED_HOSTS:-localhost}", "energy.example.com")
    command = ["env", "-i", f"PATH={os.defpath}", *(f"{key}={value}" for key, value in given.items())]
    command += adapted(service["command"], image)
    inside = service["command"][service["command"].index("--port") + 1]
    with Process(command, env={}, log=tmp_path / f"{name}.log") as process:
        assert health(service, inside, process.port) == 0
    assert health(service, inside, free_port()) != 0


def health(service: dict[str, Any], inside: str, port: int) -> int:
    """Return the exit code of a service's health check, with the port of the process instead of the container's."""
    kind, program, *arguments = service["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    arguments = [argument.replace(f"127.0.0.1:{inside}/", f"127.0.0.1:{port}/") for argument in arguments]
    return subprocess.run([sys.executable, *arguments], check=False, capture_output=True, timeout=20).returncode


def test_the_exact_schema_command_is_idempotent(image: Path, container_env: dict[str, str]) -> None:
    service = SERVICES["schema"]
    given = {key: value for key, value in container_env.items() if key in environment(service)}
    command = [sys.executable, *service["command"][1:]]
    for _ in range(2):
        done = subprocess.run(
            command, cwd=image, env={"PATH": os.defpath, **image_environment(), **given},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "schema applied" in done.stdout
