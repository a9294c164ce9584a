"""Query options of a collection read, and the page they give."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

from sandbox.sap_b1.errors import invalid_expand, invalid_option, invalid_property
from sandbox.sap_b1.filters import CompiledFilter, compile_filter
from sandbox.sap_b1.schema import EntitySet
from sandbox.sap_b1.table import Table

_PAGE_SIZE = re.compile(r"odata\.maxpagesize\s*=\s*(\d+)")


def parse_query(query: str) -> dict[str, str]:
    """Query string → options, decoded; the last of a repeated name wins."""
    options: dict[str, str] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            options[unquote(name)] = unquote_plus(value)
    return options


@dataclass(frozen=True)
class CollectionQuery:
    """The options of a read of a collection, checked against its entity."""

    condition: CompiledFilter | None
    order: tuple[tuple[str, bool], ...]
    select: tuple[str, ...] | None
    top: int | None
    skip: int
    inline_count: bool
    options: Mapping[str, str]

    @classmethod
    def parse(
        cls,
        query: str,
        entity: EntitySet,
        *,
        seconds: bool = False,
        ignore_case: bool = False,
        drop_filter: bool = False,
    ) -> CollectionQuery:
        """Reads the options. Raises ServiceLayerError (400/201) for what the Service Layer refuses."""
        options = parse_query(query)
        if "$expand" in options:
            check_expand(options["$expand"], entity)
        condition = None
        if "$filter" in options:
            condition = compile_filter(options["$filter"], entity, seconds=seconds, ignore_case=ignore_case)
            if drop_filter:
                condition = None
        return cls(
            condition,
            _parse_order(options.get("$orderby", ""), entity),
            parse_select(options.get("$select"), entity),
            _parse_number("$top", options.get("$top")),
            _parse_number("$skip", options.get("$skip")) or 0,
            options.get("$inlinecount") == "allpages" or options.get("$count") == "true",
            options,
        )


def check_expand(value: str, entity: EntitySet) -> None:
    """Refuses every expand: complex collections are no navigation properties, and others are not simulated."""
    names = re.sub(r"\([^)]*\)", "", value).split(",")
    raise invalid_expand(names[0].strip(), entity.type_name)


def parse_select(value: str | None, entity: EntitySet) -> tuple[str, ...] | None:
    """Names of `$select` in the order asked; None means everything."""
    if value is None or value.strip() in ("", "*"):
        return None
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if not entity.knows(name):
            raise invalid_property(name)
    return tuple(dict.fromkeys(names))


def _parse_order(value: str, entity: EntitySet) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        name, *direction = part.split()
        if name not in entity.properties:
            raise invalid_property(name)
        if len(direction) > 1 or (direction and direction[0] not in ("asc", "desc")):
            raise invalid_option("orderby clause")
        order.append((name, direction == ["desc"]))
    return tuple(order)


def _parse_number(option: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not value.strip().isdigit():
        raise invalid_option(f"{option} value")
    return int(value)


def page_size(headers: Mapping[str, str], default: int) -> tuple[int, bool]:
    """(rows per page, whether the Prefer header set it); 0 rows means no paging."""
    match = _PAGE_SIZE.search(headers.get("prefer", ""))
    if match is not None:
        return int(match[1]), True
    own = headers.get("b1s-pagesize", "")
    return (int(own), False) if own.isdigit() else (default, False)


@dataclass(frozen=True)
class Page:
    """One page: encoded rows, the options of the link to the next, and the count over all pages."""

    rows: list[bytes]
    next_options: str | None
    total: int


def read_page(table: Table, query: CollectionQuery, version: str, size: int, *, keep_filter: bool = True) -> Page:
    """Cuts a page by OFFSET, exactly as the server does: rows that came or went in between shift it.

    A page that is full carries a link to the next even when nothing follows; a `$top` that is used up does not.
    """
    keys = table.matching(query.condition, query.order)
    wanted = keys[query.skip :] if query.top is None else keys[query.skip : query.skip + query.top]
    shown = wanted[:size] if size else wanted
    next_options = None
    if size and len(shown) == size and (query.top is None or query.top > size):
        next_options = _next_options(query, size, keep_filter=keep_filter)
    return Page(table.encoded(shown, version, query.select), next_options, len(keys))


def _next_options(query: CollectionQuery, size: int, *, keep_filter: bool) -> str:
    kept = {name: value for name, value in query.options.items() if name not in ("$skip", "$top")}
    if not keep_filter:
        kept.pop("$filter", None)
    if query.top is not None:
        kept["$top"] = str(query.top - size)
    kept["$skip"] = str(query.skip + size)
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in kept.items())


def page_body(page: Page, *, context: str, version: str, next_link: str | None, with_count: bool) -> bytes:
    """The page in its root's envelope, by joining what is already encoded."""
    names = ("odata.metadata", "odata.count", "odata.nextLink") if version == "v1" else (
        "@odata.context", "@odata.count", "@odata.nextLink",
    )  # fmt: skip
    head = f'{{\n\t"{names[0]}" : {json.dumps(context)},\n\t'
    if with_count:
        # v1 sends the count as text, as the manual's sample shows; v2 as a number.
        count = f'"{page.total}"' if version == "v1" else str(page.total)
        head += f'"{names[1]}" : {count},\n\t'
    tail = "\n\t]"
    if next_link is not None:
        tail += f',\n\t"{names[2]}" : {json.dumps(next_link)}'
    return b"".join((head.encode(), b'"value" : [\n\t\t', b",\n\t\t".join(page.rows), tail.encode(), b"\n}\n"))
