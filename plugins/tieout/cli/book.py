"""The ledger as the commands open it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tieout.cli.output import note
from tieout.errors import TieoutError
from tieout.ledger_url import ledger_url

if TYPE_CHECKING:
    from tieout.ledger import Filters, Ledger


@contextmanager
def open_ledger() -> Iterator[Ledger | None]:
    """The book of record, or None (said on stderr) where nothing has run yet.

    Raises:
        TieoutError: The database does not answer or has no ledger in it; the message has no password.
    """
    url = ledger_url()
    missing = missing_file(url)
    if missing:
        note(f"There is no ledger at {missing} yet: nothing has run with this AIRFLOW_HOME.")
        yield None
        return
    from sqlalchemy.exc import SQLAlchemyError

    from tieout.ledger import Ledger

    try:
        with Ledger.open(url) as ledger:
            yield ledger
    except SQLAlchemyError as error:
        # The first line is the driver's own; later ones quote SQL and its parameters.
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise TieoutError(f"The ledger at {without_password(url)} cannot be read: {reason}.") from None


def filters(arguments: argparse.Namespace) -> Filters:
    """The list options as the ledger takes them."""
    from tieout.ledger import Filters

    return Filters(
        integration=arguments.integration,
        instance=arguments.instance,
        entity=arguments.entity,
        run_id=arguments.run_id,
        since=arguments.since,
        status=getattr(arguments, "status", None),
    )


def without_password(url: str) -> str:
    """The URL for people."""
    from sqlalchemy.engine import make_url

    return make_url(url).set(query={}).render_as_string(hide_password=True)


def missing_file(url: str) -> str:
    """The path of a SQLite ledger that does not exist yet, else nothing."""
    if not url.startswith("sqlite"):
        return ""
    path = url.partition(":///")[2].partition("?")[0]
    return "" if path in ("", ":memory:") or Path(path).exists() else path
