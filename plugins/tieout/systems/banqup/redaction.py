"""Keeps secrets out of what is written down: those of the application, and the addresses of signed downloads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HIDDEN = "***"

# What of urllib3 writes addresses: requests at DEBUG, odd headers and redirects as warnings.
_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.poolmanager", "urllib3.util.retry")

_secret_address: ContextVar[bool] = ContextVar("banqup_secret_address", default=False)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets.

    >>> redact("client x with s3cret", ["s3cret"])
    'client x with ***'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return text


class _SaysNothing(logging.Filter):
    """Drops records while a signed address is asked for; signatures may be in a path as well as in a query."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _secret_address.get()


@contextmanager
def secret_address() -> Iterator[None]:
    """In here urllib3 logs nothing; other threads are not concerned."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _SaysNothing) for known in logger.filters):
            logger.addFilter(_SaysNothing())
    token = _secret_address.set(True)
    try:
        yield
    finally:
        _secret_address.reset(token)
