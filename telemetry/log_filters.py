"""What does not belong into a log."""

from __future__ import annotations

import logging


class ClientMistakes(logging.Filter):
    """For `uvicorn.error`: drops the page of traceback that it logs for each websocket text that is not UTF-8.

    Such a socket is closed with 1007. Whoever sends it could fill a disk otherwise.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError))
