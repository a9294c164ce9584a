"""The lists and the single records: `GET /tieout/api/…`. Rows are those of `bin/tieout … --json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request

from tieout.cli.lists import LedgerRow
from tieout.console.access import Readable, Visible, on_website
from tieout.console.book import book_of
from tieout.console.overview import overview_rows
from tieout.console.queries import FilesPage, HeldPage, Page, RunsPage
from tieout.ledger import Filters, Ledger

Answer = dict[str, Any]

router = APIRouter(dependencies=[on_website])


@router.get("/overview")
def overview(request: Request, visible: Readable) -> Answer:
    """One row per integration and instance."""
    with book_of(request).open() as ledger:
        rows = overview_rows(ledger, visible.pairs) if ledger else []
    return {"items": rows, "total": len(rows)}


@router.get("/runs")
def runs(request: Request, visible: Readable, page: Annotated[RunsPage, Query()]) -> Answer:
    """Runs, the last begun first."""
    return _page(request, visible, page, lambda ledger: (ledger.runs, ledger.count_runs))


@router.get("/files")
def files(request: Request, visible: Readable, page: Annotated[FilesPage, Query()]) -> Answer:
    """Files, the last prepared first."""
    return _page(request, visible, page, lambda ledger: (ledger.files, ledger.count_files))


@router.get("/held")
def held(request: Request, visible: Readable, page: Annotated[HeldPage, Query()]) -> Answer:
    """Held records, also the settled and discarded ones, the last held first."""
    return _page(request, visible, page, lambda ledger: (ledger.held, ledger.count_held))


@router.get("/held/{held_id}")
def held_record(request: Request, visible: Readable, held_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Answer:
    """A held record with its payload and its history."""
    with book_of(request).open() as ledger:
        record = ledger.get_held(held_id) if ledger else None
    if record is None:
        raise HTTPException(404, f"There is no held record {held_id}.")
    if (record.integration, record.instance) not in visible.pairs:
        raise HTTPException(403, f"You may not read runs of {record.integration} ({record.instance}) in Airflow.")
    return record.as_json()


@router.get("/trace/{key:path}")
def trace(request: Request, visible: Readable, key: Annotated[str, Path(max_length=1_000)]) -> Answer:
    """Everything known by a key that people have at hand."""
    with book_of(request).open() as ledger:
        story = ledger.trace(key.replace("\x00", "")) if ledger else {"records": [], "files": []}
    for part in ("records", "files"):
        story[part] = [each for each in story[part] if (each["integration"], each["instance"]) in visible.pairs]
    if not story["records"] and not story["files"]:
        raise HTTPException(
            404, f"Nothing is known of {key!r}: give a source key, an invoice number, a file name or a held id."
        )
    return story


_List = Callable[[Filters, int | None, int], Sequence[LedgerRow]]
_Count = Callable[[Filters], int]


def _page(request: Request, visible: Visible, page: Page, of: Callable[[Ledger], tuple[_List, _Count]]) -> Answer:
    # Where the user sees everything there is, nothing is narrowed, and the database may walk one index.
    narrow = page.filters(None if visible.everything else visible.pairs)
    with book_of(request).open() as ledger:
        if ledger is None:
            return {"items": [], "total": 0}
        listed, counted = of(ledger)
        return {"items": [row.as_json() for row in listed(narrow, page.limit, page.offset)], "total": counted(narrow)}
