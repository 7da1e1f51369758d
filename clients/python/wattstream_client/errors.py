"""The exceptions, as one tree.

WattstreamError
├── NotAuthenticated    missing, invalid, expired or revoked token (401, close code 4401)
├── Forbidden           no access, or no longer, to a device (403, close code 4403)
├── ProtocolViolation   the server did not understand this client (close code 4400)
├── RequestRefused      the server refuses the request (4xx, `error` frame)
│   └── TooLarge        more readings than one response may hold (413)
└── Unreachable         no response in time, or a server error (5xx): trying again may help
"""


class WattstreamError(Exception):
    """Base of all exceptions of this package."""


class NotAuthenticated(WattstreamError):
    """The token is not valid: sign in again."""


class Forbidden(WattstreamError):
    """The user has no access, or no longer, to the device."""


class ProtocolViolation(WattstreamError):
    """The server closed with 4400: client and server use different protocols."""


class RequestRefused(WattstreamError):
    """The server refused the request. The message is the server's."""


class TooLarge(RequestRefused):
    """More readings than one response may hold: request a shorter span."""


class Unreachable(WattstreamError):
    """No response within the timeout, or a 5xx. Only requests raise it: `follow` retries."""
