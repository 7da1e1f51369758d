"""The front: a real nginx with deploy/nginx.conf, in front of a server and a writer."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.process import Process, free_port
from tests.project.deployment import NGINX_CONF, SERVICES, tool

CONF = NGINX_CONF.read_text()


@contextmanager
def front_before(server: str, writer: str, *, tls: str = "") -> Iterator[Process]:
    """Run nginx with the project's configuration. Only addresses and folder are adapted.

    `tls`: further listen directives for tests of https.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="wattstream-front-") as folder:
        text = CONF
        for ours, here, count in [
            ("http://server:8000", server, 1),
            ("http://writer:8001", writer, 1),
            ("/tmp/", f"{folder}/", 6),
            ("listen 8080;", f"listen 127.0.0.1:{port};{tls}", 1),
        ]:
            assert text.count(ours) == count, ours
            text = text.replace(ours, here)
        path = Path(folder) / "nginx.conf"
        path.write_text(text)
        program, option, directives = SERVICES["front"]["command"]
        assert (program, option) == ("nginx", "-g")
        if os.geteuid() == 0:
            directives += " user root root;"  # the container does not start it as root
        command = [str(tool(program)), "-c", str(path), "-p", folder, option, directives]
        with Process(command, env={}, log=Path(folder) / "nginx.log", ready_path="/livez", port=port) as process:
            yield process
