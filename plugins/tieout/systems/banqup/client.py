"""Banqup: spaces, documents, files. Everything here only reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import TracebackType
from typing import NoReturn

from tieout.errors import ContractBroken, CredentialsRejected, TieoutError
from tieout.systems.banqup import surface
from tieout.systems.banqup.answers import Page, read_document, read_file, read_page, read_spaces
from tieout.systems.banqup.api import Api, Refused
from tieout.systems.banqup.errors import (
    FileDamaged,
    FileMissing,
    FileTooLarge,
    FileUnavailable,
    SpaceForbidden,
)
from tieout.systems.banqup.model import Document, DocumentQuery, Downloaded, FileDetails, Space
from tieout.systems.banqup.patience import Timing
from tieout.systems.banqup.settings import BanqupSettings
from tieout.systems.banqup.storage import Outcome, Storage
from tieout.systems.banqup.walk import DocumentWalk

_ADDRESSES = 3
"""How often a file is asked for, since its address may expire before it is used."""

_DAMAGED_TWICE = 2


class BanqupClient:
    """Banqup's API for one application; a context manager, for several threads.

    Every method raises, besides what it says itself:
        CredentialsRejected: Banqup refuses the application; it is not asked again.
        SourceUnavailable: It does not answer within `retry_seconds`, or asks to come back later than `max_retry_after`.
        ContractBroken: It does not keep to its interface.
        ConfigurationInvalid: The connection leads elsewhere, or its certificate is not trusted.

    Args:
        settings: Address, application and limits.
        timing: How time passes.
    """

    def __init__(self, settings: BanqupSettings, timing: Timing | None = None) -> None:
        self.settings = settings
        timing = timing or Timing()
        self._api = Api(settings, timing)
        self._storage = Storage(settings, timing)

    def __enter__(self) -> BanqupClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. There is nothing to log out of: a token ends by itself."""
        self._api.close()
        self._storage.close()

    @property
    def server_time(self) -> datetime | None:
        """Banqup's clock as its first answer showed it, aware UTC; None before that, and where it shows none."""
        return self._api.server_time

    @property
    def clock_skew(self) -> timedelta | None:
        """How far Banqup's clock was ahead of ours at that moment; None where it shows none."""
        return self._api.clock_skew

    @property
    def token_life(self) -> timedelta | None:
        """How long the newest token lasts; None where there is none, and where the service does not say."""
        return self._api.token_life

    def login(self) -> None:
        """Gets a token, if there is none."""
        self._api.login()

    def spaces(self) -> list[Space]:
        """The spaces that let the application in; none where nobody has whitelisted it (`surface.NOT_WHITELISTED`)."""
        path = self.settings.spaces_path
        found: dict[str, Space] = {}
        number, pages = 0, 1
        while number < pages:
            # The service refuses parameters that it does not know: only a list in pages is asked for a page.
            params = {surface.PAGE: str(number)} if number else None
            try:
                spaces, pages = self._api.get(path, lambda body: read_spaces(body, self._where(path)), params)
            except Refused as refused:
                self._refused(refused, path)
            found.update((space.id, space) for space in spaces)
            number += 1
        return list(found.values())

    def documents(self, space_id: str, query: DocumentQuery) -> Iterator[Document]:
        """A space's documents in the order of their change, each once, also while the list changes.

        Rows are given as they come: whether a document has the wanted status is for the caller to see. A document that
        changes meanwhile is given as it was first seen, and documents of up to two seconds before `updated_from` may
        be given too; see `DocumentWalk`.

        Args:
            space_id: UUID of the space.
            query: Which documents.

        Raises:
            SpaceForbidden: There is no such space for the application.
            ContractBroken: The service does not sort, ignores `updatedFrom`, or gives a row without id or time.
            SourceUnavailable: The list changes faster than it can be read.
        """
        path = self.settings.documents_of(space_id)
        where = self._where(f"{path} ({query})")

        def ask(updated_from: datetime, page: int, size: int) -> Page:
            params = surface.list_parameters(query, updated_from, page, size)
            try:
                return self._api.get(path, lambda body: read_page(body, where), params)
            except Refused as refused:
                self._space_refused(refused, space_id, path)

        return iter(DocumentWalk(ask, query, self.settings.page_size, where))

    def document(self, space_id: str, document_id: str) -> Document | None:
        """One document as it is now; None where there is none of this id.

        Raises:
            SpaceForbidden: The application may not see the space.
        """
        path = self.settings.documents_of(space_id, document_id)
        try:
            return self._api.get(path, lambda body: read_document(body, self._where(path)))
        except Refused as refused:
            if refused.status in (404, 410):
                return None
            self._space_refused(refused, space_id, path)

    def download(self, space_id: str, file_id: str, *, max_bytes: int | None = None) -> Downloaded:
        """A file, complete.

        Its signed address is used at once, without the token. Where it has expired, or the bytes are not as many as
        Banqup says, the file is asked for again.

        Args:
            space_id: UUID of the space.
            file_id: UUID of the file.
            max_bytes: Largest file; `max_file_bytes` of the settings by default.

        Raises:
            FileMissing: There is no such file.
            FileUnavailable: It cannot be had yet, or its address is refused each time.
            FileDamaged: It breaks off, or has another size than announced, each time.
            FileTooLarge: It is larger than `max_bytes`.
            SpaceForbidden: The application may not see the space.
        """
        most = self.settings.max_file_bytes if max_bytes is None else max_bytes
        sizes: list[int] = []
        refused = 0
        while True:
            details = self._details(space_id, file_id)
            if details.size is not None and details.size > most:
                raise _too_large(details, most)
            fetched = self._storage.fetch(details.url, f"file {file_id}, from its storage", most)
            if fetched.outcome is Outcome.FETCHED:
                if details.size in (None, len(fetched.data)):
                    digest = hashlib.sha256(fetched.data).hexdigest()
                    return Downloaded(fetched.data, digest, details.name, details.content_type)
                sizes.append(len(fetched.data))
                if len(sizes) == _DAMAGED_TWICE:
                    raise FileDamaged(
                        f"The file {_named(details)} should have {details.size:,} bytes; {sizes[-1]:,} came, "
                        f"{sizes[-2]:,} the time before."
                    )
            elif fetched.outcome is Outcome.REFUSED:
                refused += 1
                if refused == _ADDRESSES:
                    raise FileUnavailable(
                        f"Banqup gives an address for the file {_named(details)}, and its storage refuses it each time "
                        f"(HTTP {fetched.status}, {refused} attempts)."
                    )
            else:
                raise _no_file(details, fetched.outcome, most)

    def _details(self, space_id: str, file_id: str) -> FileDetails:
        """What Banqup says of a file that can be fetched."""
        path = self.settings.file_of(space_id, file_id)
        try:
            details = self._api.get(path, lambda body: read_file(body, file_id, self._where(path)))
        except Refused as refused:
            if refused.status not in (404, 410):
                self._space_refused(refused, space_id, path)
            details = None
        if details is None:
            raise FileMissing(f"Banqup knows of no file {file_id}.")
        if details.status.upper() not in (surface.AVAILABLE, ""):
            raise FileUnavailable(
                f"Banqup has the file {_named(details)} as {details.status}, not as {surface.AVAILABLE}."
            )
        return details

    def _space_refused(self, refused: Refused, space_id: str, path: str) -> NoReturn:
        if refused.status in (403, 404):
            raise SpaceForbidden(
                f"Banqup does not let the application into the space {space_id} ({refused}). The business must "
                f"whitelist the application's id, {self.settings.client_id!r}, in Banqup. Check the client's space_id, "
                f"too."
            ) from None
        self._refused(refused, path)

    def _refused(self, refused: Refused, path: str) -> NoReturn:
        error: TieoutError = ContractBroken(f"{self._where(path)} is refused ({refused}).")
        if refused.status == 403:
            error = CredentialsRejected(
                f"{self._where(path)} is closed to the application {self.settings.client_id!r} ({refused}). Check in "
                f"Banqup what the application may do, and scope in the connection's extra."
            )
        raise error from None

    def _where(self, path: str) -> str:
        return f"{self.settings.server}{path}"


def _named(details: FileDetails) -> str:
    return f"{details.name} ({details.id})" if details.name else details.id


def _too_large(details: FileDetails, most: int) -> FileTooLarge:
    has = f"has {details.size:,} bytes" if details.size is not None and details.size > most else "is larger"
    return FileTooLarge(f"The file {_named(details)} {has}; {most:,} are accepted.")


def _no_file(details: FileDetails, outcome: Outcome, most: int) -> Exception:
    """What it means that a file could not be fetched at all."""
    if outcome is Outcome.MISSING:
        return FileMissing(f"Banqup has the file {_named(details)} on its list, and its storage does not have it.")
    if outcome is Outcome.BROKEN_OFF:
        return FileDamaged(f"The file {_named(details)} breaks off each time it is downloaded.")
    if outcome is Outcome.TOO_LARGE:
        return _too_large(details, most)
    return FileUnavailable(f"Banqup gives no address for the file {_named(details)} that could be used.")
