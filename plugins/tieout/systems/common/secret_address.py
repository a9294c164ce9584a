"""Requests to addresses that are secrets themselves: of signed downloads, of webhooks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# What of urllib3 writes addresses: requests at DEBUG, odd headers and redirects as warnings.
_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.poolmanager", "urllib3.util.retry")

_secret_address: ContextVar[bool] = ContextVar("secret_address", default=False)


class _SaysNothing(logging.Filter):
    """Drops records while a secret address is asked for; the secret may be in its path as well as in its query."""

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
