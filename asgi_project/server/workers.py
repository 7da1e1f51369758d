"""Several worker processes behind one port: where each stores its metrics, so that one scrape covers all of them.

prometheus_client's multi-process mode writes the values of each process into files of one folder, named after the
process. Here that name is a slot, which a worker claims by a file lock; the lock ends with the process, however it
ends. So the replacement of a dead worker continues its counters, the folder does not grow, and a slot without a lock
has no gauges.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

_held: list[int] = []  # the open file whose lock holds this process's slot


@contextmanager
def metrics_folder() -> Iterator[None]:
    """Create a private folder for the metrics of all workers that start meanwhile; remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="wattstream-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


def folder_of_workers() -> Path | None:
    """That folder in a worker; None in a single process."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


def slot_claim() -> None:
    """Claim the first free slot. Call it in a worker before anything counts; does nothing in a single process."""
    folder = folder_of_workers()
    if folder is None or _held:
        return
    slot = 0
    while (held := _lock(folder, slot)) is None:
        slot += 1
    _held.append(held)
    mark_process_dead(slot, str(folder))  # type: ignore[no-untyped-call]
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def slots_forget_dead(folder: Path) -> None:
    """Remove the gauges of slots without a lock."""
    for file in folder.glob("slot-*"):
        slot = int(file.name.removeprefix("slot-"))
        held = _lock(folder, slot)
        if held is not None:
            mark_process_dead(slot, str(folder))  # type: ignore[no-untyped-call]
            os.close(held)


def _lock(folder: Path, slot: int) -> int | None:
    """The open, locked file of a slot; None if it is locked already, by this process or another one."""
    file = os.open(folder / f"slot-{slot}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file
