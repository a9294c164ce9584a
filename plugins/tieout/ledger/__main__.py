"""`python -m tieout.ledger migrate`: brings the ledger's tables up to date, creating them where there are none."""

from __future__ import annotations

import argparse
import sys

from tieout.errors import TieoutError
from tieout.ledger import Ledger


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tieout.ledger", description=__doc__)
    parser.add_argument("command", choices=["migrate"])
    parser.parse_args(arguments)
    # Where the ledger is, the library itself does not need to know.
    from tieout.ledger_url import ledger_url

    try:
        Ledger.open(ledger_url(), migrate=True).close()
    except TieoutError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
