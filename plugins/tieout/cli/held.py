"""`tieout held show` and `tieout held discard`."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from tieout.cli.book import open_ledger
from tieout.cli.output import print_json
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
    """Close a held record by hand; the reason and the person stay in its history."""
    with open_ledger() as ledger:
        try:
            row = _known(ledger, arguments.id).discard_held(arguments.id, arguments.why.strip(), getpass.getuser())
        except ValueError as error:  # the ledger's own sentence: unknown, closed already, no reason
            raise TieoutError(str(error)) from None
    if arguments.json:
        print_json(row.as_json())
    else:
        print(f"Held record {row.id} ({row.entity} {row.source_key}) is discarded.")
    return 0


def _known(ledger: Ledger | None, held_id: int) -> Ledger:
    if ledger is None:
        raise _unknown(held_id)
    return ledger


def _unknown(held_id: int) -> TieoutError:
    return TieoutError(f"There is no held record {held_id}. `tieout held` lists the ones there are.")
