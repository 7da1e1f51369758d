"""What does not belong into a log."""

from __future__ import annotations

import logging


class ClientMistakes(logging.Filter):
    """For `uvicorn.error` and `asyncio`: drops the page of traceback for each websocket text that is not UTF-8.

    Such a socket is closed with 1007, or just dropped where the client's close came in the same read (uvicorn then
    fails over it). Whoever sends it could fill a disk otherwise.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not any(isinstance(found, UnicodeDecodeError) for found in (error, error and error.__context__))
