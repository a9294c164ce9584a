"""The page itself, `GET /tieout/`, and what a browser needs for it, `GET /tieout/static/…`.

Nothing is served without a login, scripts and styles neither. Who is not logged in gets a page that leads to Airflow's
own login and from there back to where they wanted to go, the part after the `#` included.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException as StarletteHTTPException

from tieout.console.access import on_website

STATIC = Path(__file__).with_name("static")
MEDIA_TYPES = MappingProxyType(
    {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
)

router = APIRouter(dependencies=[on_website])


def _files() -> dict[str, str]:
    """Names and media types of what may be asked for: only what was there when the server began."""
    return {
        path.name: f"{MEDIA_TYPES[path.suffix]}; charset=utf-8"
        for path in STATIC.iterdir()
        if path.suffix in MEDIA_TYPES and path.name != "index.html"
    }


_KNOWN = _files()


@router.get("/")
def page() -> Response:
    """The page, the same for everyone: what they may see comes as JSON."""
    return Response((STATIC / "index.html").read_bytes(), media_type="text/html; charset=utf-8")


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A script, a style sheet or an icon."""
    if name not in _KNOWN:
        raise HTTPException(404, "There is no such file.")
    return Response((STATIC / name).read_bytes(), media_type=_KNOWN[name])


# The part after the # never reaches a server: only a script can take it along.
_SCRIPT = """
const link = document.querySelector("a");
const here = location.pathname + location.search + location.hash;
link.href = new URL("../auth/login?next=" + encodeURIComponent(here), location.href).href;
link.addEventListener("click", (event) => {
  if (window.top === window) return;
  event.preventDefault();
  const outside = window.parent.document.createElement("a");
  outside.href = link.href;
  outside.click();
});
"""
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto 0; padding: 0 1rem; }
a { color: light-dark(#0b57d0, #8ab4f8); }
"""


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_REFUSAL_POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


async def refused(request: Request, error: Exception) -> Response:
    """A refusal in words where a person asked for the page; everything else gets FastAPI's JSON."""
    assert isinstance(error, StarletteHTTPException)
    if not _is_page(request) or error.status_code not in (401, 403):
        return await http_exception_handler(request, error)
    headers = {**(error.headers or {}), "content-security-policy": _REFUSAL_POLICY}
    document = _sign_in(request) if error.status_code == 401 else _not_allowed()
    return Response(document, error.status_code, headers, "text/html; charset=utf-8")


def _is_page(request: Request) -> bool:
    root: str = request.scope.get("root_path", "")
    return request.url.path.removeprefix(root) in ("", "/")


def _sign_in(request: Request) -> str:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    link = escape(f"../auth/login?next={quote(here, safe='')}")
    return _document(
        "Log in to see Tieout",
        "You are not logged in to Airflow, or your login has run out. Nothing is shown without one.",
        f'<p><a href="{link}">Log in to Airflow</a> and come back here.</p>\n<script>{_SCRIPT}</script>',
    )


def _not_allowed() -> str:
    return _document(
        "You may not see Tieout",
        "You are logged in, but your role in Airflow may not see its website. An administrator of Airflow can change"
        " that.",
        '<p><a href="../">Back to Airflow</a></p>',
    )


def _document(title: str, sentence: str, rest: str) -> str:
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><main>\n<h1>{title}</h1>\n<p>{sentence}</p>\n{rest}\n"
        "</main></body>\n</html>\n"
    )
