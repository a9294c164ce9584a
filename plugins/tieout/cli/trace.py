"""`tieout trace KEY`: everything known of one record."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tieout.cli.book import open_ledger
from tieout.cli.output import cell, print_json
from tieout.errors import TieoutError

if TYPE_CHECKING:
    from tieout.ledger import Ledger


def trace(arguments: argparse.Namespace) -> int:
    """Tell a record's story: source, runs, checks, files and byte ranges, every attempt.

    Raises:
        TieoutError: Nothing is known of the key.
    """
    with open_ledger() as ledger:
        story: Mapping[str, Any] = _story(ledger, arguments.key) if ledger else {}
    if not any(isinstance(part, list) and part for part in story.values()):
        raise TieoutError(
            f"Nothing is known of {arguments.key!r}: give a source key, an invoice number, a file name or a held id."
        )
    if arguments.json:
        print_json(story)
        return 0
    print("\n".join(_lines(story, "")))
    return 0


def _story(ledger: Ledger, key: str) -> Mapping[str, Any]:
    # Here, not above: Arrow and the mappings' readers take a while to import, and other commands need neither.
    from tieout.tracing import tell

    return tell(ledger, key)


def _lines(facts: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Facts one per line, what belongs to a record indented below it; what is empty is left out."""
    for name, value in facts.items():
        title = name.replace("_", " ")
        if value in (None, "", [], {}):
            continue
        if not isinstance(value, list):
            yield f"{indent}{title}: {cell(value)}"
            continue
        yield f"{indent}{title}:"
        for item in value:
            first, *rest = _lines(item, "") if isinstance(item, Mapping) else [cell(item)]
            yield f"{indent}  - {first}"
            yield from (f"{indent}    {line}" for line in rest)
