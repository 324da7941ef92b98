"""The client library's own log: kept off ours, and listened to for why no connection stands.

A constructor that cannot connect says only that it ran out of time; the cause stands in the
library's log alone, among hundreds of lines an hour.
"""

from __future__ import annotations

import logging
import re
import time

# The first says most: one refused handshake leaves several lines. Only these phrases pass, never
# the library's text, so whatever it may log stays out of ours.
_PHRASES = (
    (r"hostname mismatch|ip address mismatch|doesn't match", "its certificate names another host"),
    (r"certificate_verify_failed", "kafka.security.ca_file did not sign its certificate"),
    (r"alert certificate required|alert bad certificate|unknown_ca", "it refuses our certificate"),
    (r"wrong_version_number|record layer failure", "it does not speak TLS there"),
    (r"unsupported_?sasl_?mechanism", "it does not offer kafka.security.mechanism"),
    (r"sasl_?authentication_?failed|authentication failed", "it refuses the credentials"),
    (r"dns|getaddrinfo|name or service|name resolution", "its name is not known here"),
    (r"econnrefused|connection refused", "nobody listens there"),
    (r"unreachable|no route", "there is no way to it in the network"),
    (
        r"socket disconnected|connection reset|econnreset|eof|broken pipe",
        "it closes the connection, as on a wrong password, certificate or protocol",
    ),
    (r"timed? ?out|timeout", "it does not answer"),
)
# Tells of slow steps of this process ("other pollers will time out"), never of a broker.
LOOP = "kafka.net.selector"


class _Listener(logging.Handler):
    """Swallows records; keeps when which phrase was last meant."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._heard: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("kafka.net") or record.name == LOOP:
            return
        text = record.getMessage()
        for pattern, phrase in _PHRASES:
            if re.search(pattern, text, re.IGNORECASE):
                self._heard[phrase] = time.monotonic()
                return

    def since(self, moment: float) -> str | None:
        """Return what says most of what was heard after a moment of the monotonic clock."""
        for _, phrase in _PHRASES:
            if self._heard.get(phrase, -1.0) >= moment:
                return phrase
        return None


_listener = _Listener()


def quiet() -> None:
    """Keep the client library's log out of ours, and listen to it; may be called again.

    At level DEBUG the library logs passwords, so its level is fixed too.
    """
    library = logging.getLogger("kafka")
    library.setLevel(logging.WARNING)
    library.propagate = False
    if _listener not in library.handlers:
        library.addHandler(_listener)


def reason(since: float) -> str | None:
    """Say in our words why connections failed after a moment of `time.monotonic`, if known."""
    return _listener.since(since)
