"""What can go wrong, as one tree.

WattstreamError
├── NotAuthenticated    no, bad, expired or revoked token (401, close code 4401)
├── Forbidden           a device that is not, or no longer, yours (403, close code 4403)
├── ProtocolViolation   the server did not understand this client (close code 4400)
├── RequestRefused      a request that cannot be carried out (4xx, `error` frame)
│   └── TooLarge        more readings than one answer may hold (413)
└── Unreachable         no answer in time, or the server is in trouble (5xx): the one that may pass by itself
"""


class WattstreamError(Exception):
    """The base of all of these."""


class NotAuthenticated(WattstreamError):
    """Sign in again; trying again with the same token is useless."""


class Forbidden(WattstreamError):
    """The device is not, or no longer, yours."""


class ProtocolViolation(WattstreamError):
    """The server closed with 4400: this client and the server do not speak the same protocol."""


class RequestRefused(WattstreamError):
    """The request names something that cannot be had; the message is the server's."""


class TooLarge(RequestRefused):
    """More readings than one answer may hold: ask for a shorter span."""


class Unreachable(WattstreamError):
    """No answer within the deadline, or a 5xx. Only requests raise it: `follow` goes on trying."""
