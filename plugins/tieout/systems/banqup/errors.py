"""Errors of Banqup's own: what goes wrong with one answer, one space or one file alone."""

from __future__ import annotations

from typing import Any

from tieout.errors import BadRecord, ContractBroken, CredentialsRejected


class SpaceForbidden(CredentialsRejected):
    """Banqup does not let the application into one space: that client's trouble, and no other's."""


class Unreadable(ContractBroken):
    """An answer that is not even JSON: cut off, or somebody else's page. It is worth asking again."""


class FileProblem(BadRecord):
    """The file of one document cannot be had; the document is held, and the rest goes on."""

    code = "FILE_UNAVAILABLE"
    hint = "Open the document in Banqup and wait until its file can be downloaded there; it is tried again by itself."

    def __init__(self, message: str) -> None:
        super().__init__(message, reason_code=self.code, fix_hint=self.hint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Picklable: a process may have fetched it for another one."""
        return type(self), (str(self),)


class FileUnavailable(FileProblem):
    """Banqup has a file, and does not give it out: not uploaded yet, or its download is refused each time."""


class FileMissing(FileProblem):
    """Banqup has a document, and no file for it."""

    code = "FILE_MISSING"
    hint = "Open the document in Banqup. If its file cannot be downloaded there either, upload it anew or ask Banqup."


class FileDamaged(FileProblem):
    """What comes is not what Banqup announces, each time."""

    code = "FILE_DAMAGED"
    hint = "Download the document in Banqup and compare. If it is cut off there too, upload it anew or ask Banqup."


class FileTooLarge(FileProblem):
    """The file is larger than is accepted."""

    code = "FILE_TOO_LARGE"
    hint = (
        "Look in Banqup whether this is the right file. If it is, have the largest size raised (source.max_file_bytes "
        "of the instance, max_file_bytes in the connection's extra)."
    )
