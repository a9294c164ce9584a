"""The lists and the single records: `GET /tieout/api/…`. Rows are those of `bin/tieout … --json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Path, Query, Request

from tieout.console.access import Readable, Triggerable, User, Visible, on_website
from tieout.console.book import book_of
from tieout.console.dags import dag_states
from tieout.console.overview import overview_rows
from tieout.console.queries import FilesPage, HeldPage, Page, RunsPage
from tieout.console.rows import file_json, run_json
from tieout.ledger import Filters, HeldRow, Ledger
from tieout.ledger.columns import iso_z
from tieout.replays import dag_id_of
from tieout.tracing import tell

Answer = dict[str, Any]
Row = TypeVar("Row")

router = APIRouter(dependencies=[on_website])


@router.get("/me")
def me(user: User, may_trigger: Triggerable) -> Answer:
    """Who is asking, and the DAGs whose held records they may replay and discard, and whose files they may have."""
    return {"user": user.get_name(), "may_trigger": sorted(may_trigger)}


@router.get("/overview")
def overview(request: Request, visible: Readable) -> Answer:
    """One row per integration and instance."""
    states = dag_states([dag_id_of(*pair) for pair in visible.pairs])
    with book_of(request).open() as ledger:
        rows = overview_rows(ledger, visible.pairs, states)
    return {"items": rows, "total": len(rows)}


@router.get("/health")
def health(request: Request, visible: Readable) -> Answer:
    """How each connection was when it was last looked at; the rows are those of `bin/tieout check --json`."""
    if not visible.everything:
        raise HTTPException(403, "Connections belong to all integrations; you may not read the runs of some.")
    with book_of(request).open() as ledger:
        states = ledger.connection_states().values() if ledger else ()
    rows = [{**state.row, "label": state.label, "checked_at": iso_z(state.checked_at)} for state in states]
    return {"items": rows, "total": len(rows)}


@router.get("/runs")
def runs(request: Request, visible: Readable, page: Annotated[RunsPage, Query()]) -> Answer:
    """Runs, the last begun first."""
    return _page(request, visible, page, lambda ledger: (ledger.runs, ledger.count_runs), run_json)


@router.get("/files")
def files(
    request: Request, visible: Readable, may_download: Triggerable, page: Annotated[FilesPage, Query()]
) -> Answer:
    """Files, the last prepared first."""
    return _page(request, visible, page, lambda ledger: (ledger.files, ledger.count_files), file_json(may_download))


@router.get("/held")
def held(request: Request, visible: Readable, page: Annotated[HeldPage, Query()]) -> Answer:
    """Held records, also the settled and discarded ones, the last held first."""
    return _page(request, visible, page, lambda ledger: (ledger.held, ledger.count_held), HeldRow.with_figures)


@router.get("/held/{held_id}")
def held_record(request: Request, visible: Readable, held_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Answer:
    """A held record with its payload and its history."""
    with book_of(request).open() as ledger:
        record = ledger.get_held(held_id) if ledger else None
    if record is None or (record.integration, record.instance) not in visible.pairs:
        raise HTTPException(404, f"There is no held record {held_id}.")
    return record.as_json()


@router.get("/trace/{key:path}")
def trace(request: Request, visible: Readable, key: Annotated[str, Path(max_length=1_000)]) -> Answer:
    """Everything known by a key that people have at hand."""
    request.app.state.for_traces.join()
    with book_of(request).open() as ledger:
        story = tell(ledger, key.replace("\x00", ""), visible.pairs) if ledger else {"records": [], "files": []}
    if not story["records"] and not story["files"]:
        raise HTTPException(
            404, f"Nothing is known of {key!r}: give a source key, an invoice number, a file name or a held id."
        )
    return story


def _page(
    request: Request,
    visible: Visible,
    page: Page,
    of: Callable[[Ledger], tuple[Callable[[Filters, int | None, int], Sequence[Row]], Callable[[Filters], int]]],
    as_json: Callable[[Row], dict[str, Any]],
) -> Answer:
    # Where the user sees everything there is, nothing is narrowed, and the database may walk one index.
    narrow = page.filters(None if visible.everything else visible.pairs)
    with book_of(request).open() as ledger:
        if ledger is None:
            return {"items": [], "total": 0}
        listed, counted = of(ledger)
        return {"items": [as_json(row) for row in listed(narrow, page.limit, page.offset)], "total": counted(narrow)}
