"""`GET /tieout/api/files/{id}/download`: a file's bytes as they were sent or collected."""

from __future__ import annotations

import base64
import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import StreamingResponse

from tieout.console.access import Readable, User, on_website, require_trigger
from tieout.console.book import book_of
from tieout.replays import dag_id_of
from tieout.tracing.kept import NotKept, open_kept, pieces

router = APIRouter(dependencies=[on_website])


@router.get("/files/{file_id}/download")
def download(
    request: Request, visible: Readable, user: User, file_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> StreamingResponse:
    """The bytes, checked against the ledger's digest before the first of them leaves.

    They are the receivers' data, whole: whoever may not run the DAG may not have them.
    """
    with book_of(request).open() as ledger:
        row = ledger.get_file(file_id) if ledger else None
    if row is None or row.state == "preparing" or (row.integration, row.instance) not in visible.pairs:
        raise HTTPException(404, f"There is no file {file_id}.")
    require_trigger([dag_id_of(row.integration, row.instance)], user)
    try:
        file = open_kept(row)
    except NotKept as error:
        raise HTTPException(404, str(error)) from None
    headers = {
        "content-disposition": attachment(row.file_name),
        "content-length": str(row.bytes),
        # RFC 9530, section 3.
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(row.sha256)).decode('ascii')}:",
    }
    return StreamingResponse(pieces(file), media_type="application/octet-stream", headers=headers)


def attachment(name: str) -> str:
    """The header `Content-Disposition` for a name that anybody may have chosen (RFC 6266, section 4.3 and appendix D).

    >>> print(attachment('a"b.csv'))
    attachment; filename="a_b.csv"; filename*=UTF-8''a%22b.csv
    """
    plain = re.sub(r"[^A-Za-z0-9 ._+@=,()-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
