"""Paging by next links, for collections without a key that can be walked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import msgspec

from tieout.errors import ContractBroken
from tieout.odata.query import query_string


class _Page(msgspec.Struct, rename={"v3": "odata.nextLink", "v4": "@odata.nextLink"}):
    value: list[msgspec.Raw]
    v3: Any = None
    v4: Any = None


_decoder = msgspec.json.Decoder(_Page)


class LinkWalk:
    """Follows next links over a collection.

    Args:
        fetch: Reads the body of an absolute URL.
        root: The service root, such as `https://b1:50000/b1s/v2`; relative links are resolved against `<root>/`.
        entity: The entity set.
        params: Query options of the first page.
    """

    def __init__(self, fetch: Callable[[str], bytes], root: str, entity: str, params: Mapping[str, str]) -> None:
        self._fetch = fetch
        self._root = root.rstrip("/") + "/"
        self._entity = entity
        self._params = dict(params)

    def __iter__(self) -> Iterator[bytes]:
        """The bodies of all pages; the last may be empty, since a full last page still has a link.

        Raises:
            ContractBroken: A link leads to another host, in a circle, or has lost the filter.
        """
        options = query_string(self._params)
        url = self._root + self._entity + (f"?{options}" if options else "")
        seen = set()
        while True:
            seen.add(url)
            body = self._fetch(url)
            link = self._next(body)
            yield body
            if link is None:
                return
            url = self.resolve(link)
            if url in seen:
                raise ContractBroken(
                    f"{self._entity}: the next link {_path(url)} leads to a page that was read already."
                )

    def _next(self, body: bytes) -> str | None:
        try:
            page = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            begin = body[:80].decode("utf-8", "replace")
            raise ContractBroken(
                f"A page of {self._entity} cannot be read as a collection ({error}); it begins with {begin!r}."
            ) from None
        link = page.v4 or page.v3
        if link is not None and not isinstance(link, str):
            raise ContractBroken(f"{self._entity}: the next link is {link!r}, not a text.")
        return link

    def resolve(self, link: str) -> str:
        """A link as an absolute URL.

        Relative to the service root, an absolute path, or an absolute URL on the same host are all in use.

        Raises:
            ContractBroken: Another host or scheme, or a link without the filter that was asked for.
        """
        url = urljoin(self._root, link)
        there, here = urlsplit(url), urlsplit(self._root)
        if (there.scheme, there.hostname, _port(there)) != (here.scheme, here.hostname, _port(here)):
            raise ContractBroken(
                f"{self._entity}: the next link leads to {there.hostname}, not to {here.hostname}; it is not followed."
            )
        self._check_filter(parse_qs(there.query, keep_blank_values=True), url)
        return url

    def _check_filter(self, options: Mapping[str, list[str]], url: str) -> None:
        wanted = self._params.get("$filter")
        found = options.get("$filter", [None])[-1]
        # A link with `$skiptoken` is opaque (OData V4, part 1, 11.2.6.7): the filter may be inside the token.
        if found == wanted or (found is None and "$skiptoken" in options):
            return
        raise ContractBroken(
            f"{self._entity}: the next link {_path(url)} has lost or changed the filter {wanted!r}; "
            f"records could be lost or doubled."
        )


def _port(url: Any) -> int:
    return int(url.port or {"https": 443, "http": 80}.get(url.scheme, 0))


def _path(url: str) -> str:
    return urlsplit(url).path
