"""Talking to the person at the terminal: progress on stderr, failures as one sentence, commands run quietly."""

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class ScriptError(Exception):
    """Something a person has to act on.

    The message is one sentence that says what to do next; `details` are the last words of what failed.
    """

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = details


def entry(main: Callable[[], int]) -> int:
    """Run a script's main function; a failure is a sentence on stderr and exit code 1, Ctrl-C is 130."""
    os.umask(0o022)  # the database's own user has to read what is unpacked here
    try:
        return main()
    except ScriptError as error:
        say(str(error))
        for line in error.details:
            say(f"  {line}")
        return 1
    except OSError as error:
        say(f"{error.strerror}: {error.filename}; check that it is yours and that the disk has room, then run again.")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run it again to go on")
        return 130


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Show a slow part: its title, the seconds it is taking (on a terminal) and took."""
    started = time.monotonic()
    done = threading.Event()
    on_terminal = sys.stderr.isatty()

    def show(ending: str) -> None:
        print(f"\r{title} … {ending}" if on_terminal else ending, end="", file=sys.stderr, flush=True)

    def tick() -> None:
        while not done.wait(1):
            show(f"{time.monotonic() - started:.0f} s")

    print(f"{title} … ", end="", file=sys.stderr, flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    if on_terminal:
        ticker.start()
    ending = "failed\n"
    try:
        yield
        ending = f"{time.monotonic() - started:.1f} s\n"
    except KeyboardInterrupt:
        ending = "interrupted\n"
        raise
    finally:
        done.set()
        if on_terminal:
            ticker.join()
        show(ending)


def run(
    command: Sequence[object],
    *,
    failing: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str = "",  # noqa: A002 - as subprocess.run calls it
) -> str:
    """Run a command without showing it and return its standard output.

    Raises ScriptError with the sentence `failing` and the command's last words.
    """
    parts = [str(part) for part in command]
    try:
        done = subprocess.run(
            parts, env=env, cwd=cwd, input=input, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise ScriptError(failing, [str(error)]) from error
    if done.returncode:
        raise ScriptError(failing, (done.stderr.strip() or done.stdout.strip()).splitlines()[-4:])
    return done.stdout


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock, so that two runs at the same time do not build the same thing; says so where it has to wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run to finish …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
