"""`tieout held show` and `tieout held discard`."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from tieout.approvals import Request, request_for, rule_of
from tieout.cli.book import open_ledger
from tieout.cli.output import print_json
from tieout.cli.second_person import ask_second_person
from tieout.errors import TieoutError

if TYPE_CHECKING:
    from tieout.ledger import Ledger


def show(arguments: argparse.Namespace) -> int:
    """Print the original bytes of a held record, exactly as they came; with `--json` all that is known of it."""
    with open_ledger() as ledger:
        record = _known(ledger, arguments.id).get_held(arguments.id)
    if record is None:
        raise _unknown(arguments.id)
    if arguments.json:
        print_json(record.as_json())
        return 0
    sys.stdout.flush()
    sys.stdout.buffer.write(record.payload)
    if sys.stdout.isatty() and not record.payload.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    return 0


def discard(arguments: argparse.Namespace) -> int:
    """Close a held record by hand; the reason and the person stay in its history.

    One above the limit of one person stays held, and a second one is asked.
    """
    why = arguments.why.strip()
    with open_ledger() as ledger:
        known = _known(ledger, arguments.id)
        request = _request(known, arguments.id, why)
        if request is None:
            try:
                row = known.discard_held(arguments.id, why, getpass.getuser())
            except ValueError as error:  # the ledger's own sentence: unknown, closed already, no reason
                raise TieoutError(str(error)) from None
    if request is not None:
        return _ask(request, as_json=arguments.json)
    if arguments.json:
        print_json(row.as_json())
    else:
        print(f"Held record {row.id} ({row.entity} {row.source_key}) is discarded.")
    return 0


def _request(ledger: Ledger, held_id: int, why: str) -> Request | None:
    """What a second person is to be asked; None where one person decides, or nothing can be decided."""
    row = next((row for row in ledger.held_rows([held_id]) if row.status == "held"), None)
    if row is None or not why:
        return None
    return request_for([row], "discard", why, rule_of(row.integration, row.instance))


def _ask(request: Request, *, as_json: bool) -> int:
    (row,) = request.rows
    answer = ask_second_person(request)
    if as_json:
        print_json(row.as_json() | {"request": answer})
    else:
        print(f"Held record {row.id} ({row.entity} {row.source_key}) is not discarded yet: it needs a second person.")
        print(f"Another person answers at {answer['approval_url']}")
    return 0


def _known(ledger: Ledger | None, held_id: int) -> Ledger:
    if ledger is None:
        raise _unknown(held_id)
    return ledger


def _unknown(held_id: int) -> TieoutError:
    return TieoutError(f"There is no held record {held_id}. `tieout held` lists the ones there are.")
