"""Terminal output: progress on stderr, failures as one sentence, commands run quietly."""

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
    """A failure that a person has to act on.

    The message is one sentence that says what to do next; `details` are the last lines that the failed command printed.
    """

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = details


def entry(main: Callable[[], int]) -> int:
    """Run a script's main function. A failure prints one sentence on stderr and exits with 1; Ctrl-C exits with 130."""
    os.umask(0o022)  # the database's user must be able to read the unpacked files
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
    """Show the title of a slow step and its duration; on a terminal, count the seconds while it runs."""
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

    Raises ScriptError with the sentence `failing` and the last lines of the command's output.
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
    """Hold a file lock, so that two concurrent runs do not build the same thing. Print a line if it has to wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run to finish …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
