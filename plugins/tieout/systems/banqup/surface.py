"""Every name of Banqup's API that this package relies on: paths, query parameters, fields, values.

How documents are listed and fetched is not public. What stands here is the surface that is built against; whoever
learns better corrects it here, or, where only a path differs, in the connection's extra.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tieout.systems.banqup.timestamps import to_milliseconds

if TYPE_CHECKING:
    from tieout.systems.banqup.model import DocumentQuery

# Paths; {space} is the space's id.
TOKEN_PATH = "/oauth2/client_credential/gettoken"
SPACES_PATH = "/entitystore/v1/spaces"
DOCUMENTS_PATH = "/datastore/documents/transaction/v2/spaces/{space}/documents"
FILES_PATH = "/datastore/documents/transaction/v1/spaces/{space}/files"

# The token: the form that is posted, and the answer.
GRANT_TYPE, CLIENT_CREDENTIALS = "grant_type", "client_credentials"
CLIENT_ID, CLIENT_SECRET, SCOPE = "client_id", "client_secret", "scope"
ACCESS_TOKEN, EXPIRES_IN = "access_token", "expires_in"

# Lists: their query, and the answer. Pages are counted from 0.
FOLDER, CATEGORY, DOCUMENT_STATUS = "folder", "category", "documentStatus"
UPDATED_FROM, UPDATED_TO = "updatedFrom", "updatedTo"
PAGE, SIZE = "page", "size"
CONTENT, TOTAL_PAGES = "content", "totalPages"
LARGEST_PAGE = 50

# A space; a list of them.
SPACES, SPACE_NAME, SPACE_TYPE = "spaces", "name", "type"

# A document. `folder` and `category` are named as in the query.
ID, FILE_ID, NUMBER, ISSUE_DATE = "id", "fileId", "documentNumber", "issueDate"
CREATED_AT, UPDATED_AT = "createdAt", "updatedAt"
STATUS, STATUS_DATES, OF_DOCUMENT, OF_PAYMENT = "status", "statusDates", "document", "pay"

# A file.
FILE_NAME, CONTENT_TYPE, FILE_SIZE = "filename", "contentType", "fileSize"
FILE_STATUS, AVAILABLE, DOWNLOAD_URL = "status", "AVAILABLE", "downloadUrl"

# Where an error's sentence may be, the most telling first.
ERROR_FIELDS = ("message", "error_description", "detail", "title", "error")

# Folders.
PURCHASES, SALES, BANK = "PURCHASES", "SALES", "BANK"

# Categories.
INVOICE, CREDIT_NOTE, ENRICHED_MOVEMENT_REPORT = "INVOICE", "CREDIT_NOTE", "ENRICHED_MOVEMENT_REPORT"

# States of a document: of purchases and bank files, then of sales.
AWAITING_VALIDATION, APPROVED, REFUSED = "AWAITING_VALIDATION", "APPROVED", "REFUSED"
DRAFT, SENT, ERROR = "DRAFT", "SENT", "ERROR"

NOT_WHITELISTED = (
    "Banqup shows the application no space at all. The business, or the accountant's partner space, must whitelist the "
    "application's id (the connection's login) in Banqup; until then nothing of it can be read."
)


def token_form(client_id: str, client_secret: str, scope: str) -> dict[str, str]:
    """The form that asks for a token; a scope only where one is configured."""
    form = {GRANT_TYPE: CLIENT_CREDENTIALS, CLIENT_ID: client_id, CLIENT_SECRET: client_secret}
    return form | {SCOPE: scope} if scope else form


def list_parameters(query: DocumentQuery, updated_from: datetime, page: int, size: int) -> dict[str, str]:
    """The query of one page of a list; the service refuses what it does not know, so nothing else may be sent.

    Args:
        query: Which documents.
        updated_from: Changed from this moment on; aware.
        page: Number of the page, from 0.
        size: Rows per page, at most `LARGEST_PAGE`.
    """
    asked = {
        FOLDER: query.folder,
        CATEGORY: query.category,
        DOCUMENT_STATUS: query.status,
        UPDATED_FROM: timestamp(updated_from),
    }
    if query.updated_to is not None:
        # A part of a millisecond is rounded up, so that the end of the window is not cut off.
        asked[UPDATED_TO] = timestamp(query.updated_to + timedelta(microseconds=999))
    return asked | {PAGE: str(page), SIZE: str(size)}


def timestamp(moment: datetime) -> str:
    """A moment as the service takes it: UTC, milliseconds (what is beyond is cut off), `Z`.

    >>> from datetime import UTC
    >>> timestamp(datetime(2026, 3, 1, 9, 30, 0, 123999, tzinfo=UTC))
    '2026-03-01T09:30:00.123Z'
    """
    return to_milliseconds(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")
