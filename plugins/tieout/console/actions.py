"""What people do with held records: `POST /tieout/api/held/replay` and `/tieout/api/held/discard`."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from tieout import replays
from tieout.console.access import Trigger, on_website, require_trigger, same_origin
from tieout.console.book import book_of
from tieout.console.queries import DiscardRequest, ReplayRequest
from tieout.console.triggering import check_dag, trigger
from tieout.errors import TieoutError
from tieout.ledger import HeldRow, Ledger
from tieout.replays import Replay, dag_id_of

Answer = dict[str, Any]
Body = TypeVar("Body", bound=BaseModel)

LARGEST_BODY = 100_000
"""Bytes; a thousand ids of 19 digits and a long reason need a third of it."""

router = APIRouter(dependencies=[on_website, Depends(same_origin)])


def _body(model: type[Body]) -> Callable[[Request, Trigger], Coroutine[Any, Any, Body]]:
    """The request's JSON. Read here and not by FastAPI, which would look at it before it asks who the caller is."""

    async def read(request: Request, _user: Trigger) -> Body:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "Send JSON with the header Content-Type: application/json.")
        try:
            document = json.loads(await _bytes(request))
        except (ValueError, RecursionError):
            raise HTTPException(400, "The request's body is not JSON.") from None
        if not isinstance(document, dict):
            raise HTTPException(422, "The request's body is JSON, but no object with keys and values.")
        try:
            return model.model_validate(document)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None

    return read


async def _bytes(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"The request's body has more than {LARGEST_BODY} bytes.")
    return bytes(body)


@router.post("/held/replay")
def replay(request: Request, user: Trigger, wanted: Annotated[ReplayRequest, Depends(_body(ReplayRequest))]) -> Answer:
    """Trigger a run per instance that holds some of the records; with `preview` only say which."""
    if wanted.all == bool(wanted.ids):
        raise HTTPException(422, 'Say which: either {"ids": [...]} or {"all": true}, with or without filters.')
    with book_of(request).open() as ledger:
        items = _replays(ledger, wanted)
    require_trigger((item.dag_id for item in items), user)
    for item in items:
        check_dag(item.dag_id)
    rows = [item.as_json(None, "preview") if wanted.preview else _queued(item, user.get_name()) for item in items]
    if rows and all(row["status"] == "refused" for row in rows):
        raise HTTPException(400, " ".join(row["message"] for row in rows))
    return {"items": rows, "total": len(rows)}


@router.post("/held/discard")
def discard(
    request: Request, user: Trigger, wanted: Annotated[DiscardRequest, Depends(_body(DiscardRequest))]
) -> Answer:
    """Give held records up, for a reason; with `preview` only say which."""
    why = wanted.why.strip()
    if not why:
        raise HTTPException(422, "why: say why; the reason goes to the audit trail.")
    with book_of(request).open() as ledger:
        if ledger is None:
            raise HTTPException(404, f"There is no held record {wanted.ids[0]}.")
        rows = _open_rows(ledger, wanted.ids)
        require_trigger((dag_id_of(row.integration, row.instance) for row in rows), user)
        if not wanted.preview:
            rows = _discard(ledger, rows, why, user.get_name())
    return {"items": [row.as_json() for row in rows], "total": len(rows)}


def _replays(ledger: Ledger | None, wanted: ReplayRequest) -> list[Replay]:
    if ledger is None:
        if wanted.ids:
            raise HTTPException(404, f"There is no held record {wanted.ids[0]}.")
        return []
    if wanted.all:
        return replays.everything(ledger, wanted.filters())
    _open_rows(ledger, wanted.ids)
    return replays.chosen(ledger, wanted.ids, wanted.filters())


def _open_rows(ledger: Ledger, ids: list[int]) -> list[HeldRow]:
    """The records, all of them there (else 404) and open (else 400)."""
    known = {row.id for row in ledger.held_rows(ids)}
    missing = [held_id for held_id in ids if held_id not in known]
    if missing:
        raise HTTPException(404, f"There is no held record {missing[0]}.")
    return replays.open_rows(ledger, ids, "discarded or replayed")


def _queued(item: Replay, user_name: str) -> Answer:
    try:
        run_id, paused = trigger(item.dag_id, item.conf, user_name)
    except TieoutError as error:
        return item.as_json(None, "refused") | {"message": str(error)}
    return item.as_json(run_id, "queued") | {"paused": paused}


def _discard(ledger: Ledger, rows: list[HeldRow], why: str, user_name: str) -> list[HeldRow]:
    """Each is a transaction of its own: one that somebody else closed meanwhile stops here and undoes nothing."""
    done: list[HeldRow] = []
    for row in rows:
        try:
            done.append(ledger.discard_held(row.id, why, user_name))
        except ValueError as error:
            raise HTTPException(409, f"{error} {len(done)} of {len(rows)} were discarded before.") from None
    return done
