"""Keeps the application's secrets out of what is written down."""

from __future__ import annotations

from collections.abc import Iterable

HIDDEN = "***"


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets.

    >>> redact("client x with s3cret", ["s3cret"])
    'client x with ***'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return text
