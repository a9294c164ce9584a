"""Next links: followed on the same host only, since they carry the credentials."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

log = logging.getLogger(__name__)

_CREDENTIALS = frozenset({"userid"})


def own_link(link: str, base_url: str, path: str) -> tuple[str, Mapping[str, str]] | None:
    """Path below the base URL and query parameters of a next link; None if it leads elsewhere.

    A token in the link is left out: the request brings its own.

    Args:
        link: Absolute, an absolute path, or relative to the collection's folder.
        base_url: The server's base URL.
        path: Path of the collection, below the base URL.
    """
    here = urlsplit(base_url)
    there = urlsplit(urljoin(f"{base_url}{path}", link))
    same = (there.scheme, there.hostname, _port(there)) == (here.scheme, here.hostname, _port(here))
    if not same or not there.path.startswith(here.path):
        log.warning("A next link leads to %s, not to %s; it is not followed", there.hostname, here.hostname)
        return None
    params = {name: value for name, value in parse_qsl(there.query, keep_blank_values=True)
              if name.lower() not in _CREDENTIALS}  # fmt: skip
    return there.path[len(here.path) :], params


def _port(url: Any) -> int:
    return int(url.port or {"https": 443, "http": 80}.get(url.scheme, 0))
