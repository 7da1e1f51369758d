"""Shared parts of the scripts beside this folder. They use only the standard library and the system's python3."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may well have an older one
    sys.exit(
        f"This is Python {sys.version.split()[0]} and wattstream needs 3.11 or newer: run it with a newer python3."
    )
