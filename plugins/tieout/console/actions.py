"""What people do with held records: `POST /tieout/api/held/replay` and `/tieout/api/held/discard`."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.configuration import conf as airflow_conf
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from tieout import approvals, replays
from tieout.config import dag_id_of
from tieout.console.access import (
    Decidable,
    Trigger,
    decidable,
    on_website,
    permitted,
    require_trigger,
    same_origin,
)
from tieout.console.book import book_of
from tieout.console.queries import DiscardRequest, ReplayRequest
from tieout.console.triggering import check_dag, trigger
from tieout.errors import TieoutError
from tieout.ledger import HeldRow, Ledger
from tieout.replays import Replay

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
def replay(
    request: Request,
    user: Trigger,
    wanted: Annotated[ReplayRequest, Depends(_body(ReplayRequest))],
    mine: Annotated[Decidable, Depends(decidable)],
) -> Answer:
    """Trigger a run per instance that holds some of the records; with `preview` only say which.

    `all` is of those instances whose DAG the user may trigger. What is above the limit of one person is asked of a
    second one instead, in a row of its own.
    """
    if wanted.all == bool(wanted.ids):
        raise HTTPException(422, 'Say which: either {"ids": [...]} or {"all": true}, with or without filters.')
    with book_of(request).open() as ledger:
        items = _replays(ledger, wanted, user, mine)
    for item in items:
        _check_dags(item.dag_id, item.request())
    if wanted.preview:
        rows = [item.as_json(None, "preview") for item in items]
    else:
        rows = [row for item in items for row in _replayed(item, user.get_name())]
    if rows and all(row["status"] == "refused" for row in rows):
        raise HTTPException(400, " ".join(row["message"] for row in rows))
    return {"items": rows, "total": len(rows)}


@router.post("/held/discard")
def discard(
    request: Request, user: Trigger, wanted: Annotated[DiscardRequest, Depends(_body(DiscardRequest))]
) -> Answer:
    """Give held records up, for a reason; with `preview` only say which.

    What is above the limit of one person stays held, and a second one is asked (`requests`).
    """
    why = wanted.why.strip()
    if not why:
        raise HTTPException(422, "why: say why; the reason goes to the audit trail.")
    with book_of(request).open() as ledger:
        if ledger is None:
            raise HTTPException(404, f"There is no held record {wanted.ids[0]}.")
        rows = _open_rows(ledger, wanted.ids, user)
        questions = _questions(rows, why)
        above = {row.id for question in questions for row in question.rows}
        done: dict[int, HeldRow] = {}
        if not wanted.preview:
            at_once = [row for row in rows if row.id not in above]
            done = {row.id: row for row in _discard(ledger, at_once, why, user.get_name())}
    items = [done.get(row.id, row).with_figures() | {"needs_second_person": row.id in above} for row in rows]
    asked = [each.as_json(None, "preview") if wanted.preview else _asked(each, user.get_name()) for each in questions]
    return {"items": items, "total": len(items), "requests": asked}


def _questions(rows: list[HeldRow], why: str) -> list[approvals.Request]:
    """What second persons are to be asked before the records can be discarded, one question per instance."""
    groups = replays.by_instance(rows)
    found = [approvals.request_for(group, "discard", why, approvals.rule_of(*pair)) for pair, group in groups.items()]
    questions = [each for each in found if each is not None]
    for each in questions:
        check_dag(each.dag_id)
    return questions


def _replays(ledger: Ledger | None, wanted: ReplayRequest, user: BaseUser, mine: Decidable) -> list[Replay]:
    within = mine.of(wanted.integration, wanted.instance) if wanted.all else None
    if ledger is None:
        if wanted.ids:
            raise HTTPException(404, f"There is no held record {wanted.ids[0]}.")
        return []
    if wanted.all:
        return replays.everything(ledger, wanted.filters(within))
    _open_rows(ledger, wanted.ids, user)
    return replays.chosen(ledger, wanted.ids, wanted.filters())


def _open_rows(ledger: Ledger, ids: list[int], user: BaseUser) -> list[HeldRow]:
    """The records, all of them there (else 404), the user's to decide about (else 403) and open (else 400).

    One of an instance that the user may not read is for them not there.
    """
    dag_ids = {row.id: dag_id_of(row.integration, row.instance) for row in ledger.held_rows(ids)}
    readable = permitted("GET", set(dag_ids.values()), user)
    missing = [held_id for held_id in ids if dag_ids.get(held_id) not in readable]
    if missing:
        raise HTTPException(404, f"There is no held record {missing[0]}.")
    require_trigger(dag_ids.values(), user)
    return replays.open_rows(ledger, ids, "discarded or replayed")


def _check_dags(dag_id: str, request: approvals.Request | None) -> None:
    check_dag(dag_id)
    if request is not None:
        check_dag(request.dag_id)


def _replayed(item: Replay, user_name: str) -> list[Answer]:
    """What became of a replay: a run, a question to a second person, or both."""
    at_once, request = item.at_once(), item.request()
    return [
        *([_queued(at_once, user_name)] if at_once else []),
        *([_asked(request, user_name)] if request else []),
    ]


def _asked(request: approvals.Request, user_name: str) -> Answer:
    try:
        run_id, paused = trigger(request.dag_id, request.conf, user_name)
    except TieoutError as error:
        return request.as_json(None, "refused") | {"message": str(error)}
    base_url = str(airflow_conf.get("api", "base_url", fallback="") or "")
    url = approvals.approval_url(base_url, request.dag_id, run_id)
    return request.as_json(run_id, "waiting_for_second_person", url) | {"paused": paused}


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
