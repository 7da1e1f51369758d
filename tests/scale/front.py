"""nginx with the configuration of the profile `scale`, in front of two servers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testing.process import Process, free_port
from tests.project.deployment import NGINX_CONF, tool

SCALE = NGINX_CONF.parent / "scale"


@contextmanager
def front_before(servers: Sequence[Process], writer: Process, folder: Path) -> Iterator[Process]:
    """Run nginx with adapted addresses and folders; the rest of the configuration is unchanged."""
    port = free_port()
    shutil.copytree(SCALE, folder / "scale")
    (folder / "nginx.conf").write_text(NGINX_CONF.read_text())
    changes = [("listen 8080;", f"listen 127.0.0.1:{port};"), ("/tmp/", f"{folder}/")]
    changes += [("/etc/nginx/scale/", f"{folder}/scale/"), ("writer-scale:8001", f"127.0.0.1:{writer.port}")]
    changes += [(f"server-{number}:8000", f"127.0.0.1:{server.port}") for number, server in enumerate(servers, 1)]
    files = [folder / "nginx.conf", *(folder / "scale").iterdir()]
    for ours, here in changes:
        assert any(ours in file.read_text() for file in files), ours
        for file in files:
            file.write_text(file.read_text().replace(ours, here))
    user = ["user root root;"] if os.geteuid() == 0 else []  # the container does not start it as root
    command = [str(tool("nginx")), "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    command += ["-g", " ".join(["daemon off;", *user])]
    with Process(command, env={}, log=folder / "nginx.log", port=port) as process:
        yield process
