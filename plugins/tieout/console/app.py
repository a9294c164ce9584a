"""The console's FastAPI application: routes, errors as JSON, response headers."""

from __future__ import annotations

from importlib import import_module
from threading import Thread
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tieout.console import actions, download, lists, pages
from tieout.console.book import Book, LedgerUnavailable
from tieout.console.headers import WithHeaders
from tieout.errors import TieoutError

_ONLY_FOR_TRACES = (
    "tieout.ledger.packing",
    "tieout.lineage.syspro",
    "tieout.integrations.stampli_to_sap_b1.lineage",
    "tieout.integrations.syspro_to_legacy_erp.gl.rules",
)


def create_app() -> FastAPI:
    """The application that is served under `/tieout` on Airflow's API server, with Airflow's own log-in and rights."""
    app = FastAPI(title="Tieout", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.book = Book()
    app.state.for_traces = _importing()
    app.include_router(lists.router, prefix="/api")
    app.include_router(download.router, prefix="/api")
    app.include_router(actions.router, prefix="/api")
    app.include_router(pages.router)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(LedgerUnavailable, _unavailable)
    app.add_exception_handler(TieoutError, _refused)
    app.add_exception_handler(HTTPException, pages.refused)
    app.add_middleware(WithHeaders)
    return app


def _importing() -> Thread:
    """A thread that imports what only traces need, which takes long: whoever asks for the first one need not wait."""
    thread = Thread(target=lambda: [import_module(name) for name in _ONLY_FOR_TRACES], daemon=True)
    thread.start()
    return thread


def _not_understood(_request: Request, error: Exception) -> JSONResponse:
    """422 with a sentence for each mistake, naming the parameter or the key."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": "; ".join(_sentence(mistake) for mistake in error.errors())}, status_code=422)


def _sentence(mistake: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in mistake["loc"] if part not in ("query", "path", "body"))
    if mistake["type"] == "extra_forbidden":
        return f"{place} is not known here"
    said = str(mistake["msg"]).removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=503)


def _refused(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=400)
