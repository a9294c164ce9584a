"""The ledger as the API server keeps it open."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from tieout.cli.book import missing_file, without_password
from tieout.errors import ConfigurationInvalid, TieoutError
from tieout.ledger import Ledger
from tieout.ledger_url import ledger_url


class LedgerUnavailable(TieoutError):
    """The ledger cannot be read now; the sentence says where it is and why, without a password."""


class Book:
    """One ledger for all requests of the process: opened by the first, its connections pooled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._place = ""

    @contextmanager
    def open(self) -> Iterator[Ledger | None]:
        """The ledger; None where nothing has run yet.

        Raises:
            LedgerUnavailable: The database does not answer, or has no ledger of this version.
        """
        ledger = self._opened()
        try:
            yield ledger
        except ConfigurationInvalid as error:
            raise LedgerUnavailable(str(error)) from None
        except SQLAlchemyError as error:
            # The first line is the driver's own; later ones quote SQL.
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise LedgerUnavailable(f"The ledger at {self._place} cannot be read: {reason}.") from None

    def _opened(self) -> Ledger | None:
        with self._lock:
            if self._ledger is None:
                try:
                    url = ledger_url()
                    if missing_file(url):
                        return None
                    self._ledger = Ledger.open(url)
                except TieoutError as error:
                    raise LedgerUnavailable(str(error)) from None
                self._place = without_password(url)
            return self._ledger


def book_of(request: Request) -> Book:
    """The application's book."""
    book: Book = request.app.state.book
    return book
