"""e.net's answers: text whose HTTP status says nothing. Encodings, wrapped tokens, and `ERROR:` with HTTP 200."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

_BOM = b"\xef\xbb\xbf"
_DECLARED = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_CHARSET = re.compile(r"charset=([A-Za-z0-9._-]+)", re.IGNORECASE)
_STRING = re.compile(r"^(?:<\?xml[^>]*\?>)?\s*<string[^>]*?(?:/>|>(.*)</string>)\s*$", re.DOTALL)
_SESSION = re.compile(r"user\s?id is invalid|not logged (?:in|on)|session has expired", re.IGNORECASE)
_LICENCE = re.compile(r"licen[cs]e|maximum (?:number|users)|concurrent|users? (?:already )?logged", re.IGNORECASE)
_LONGEST = 300


class Kind(Enum):
    """What an `ERROR:` means for the caller."""

    SESSION_LOST = auto()
    LICENCES_USED_UP = auto()
    BAD_INSTANCE = auto()
    NOT_INSTALLED = auto()
    OTHER = auto()


@dataclass(frozen=True)
class EnetError:
    """An `ERROR:` body: SYSPRO's own words, shortened, and what they mean."""

    message: str
    kind: Kind


def decode_text(body: bytes, content_type: str = "") -> str:
    """The body as text, by its XML declaration, else the header's charset, else UTF-8, else Windows-1252."""
    declared = _DECLARED.search(body[:200]) if body.lstrip().startswith(b"<?xml") else None
    charset = _CHARSET.search(content_type)
    candidates = [declared[1].decode("ascii") if declared else None, charset[1] if charset else None, "utf-8"]
    body = body.removeprefix(_BOM)
    for encoding in filter(None, candidates):
        try:
            return body.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    # All 256 bytes mean something in Latin-1, so that this never fails where Windows-1252 has gaps.
    try:
        return body.decode("cp1252")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def unwrap(text: str) -> str:
    """The value of an answer: out of `<string>…</string>` or JSON quotes where it is wrapped.

    Spaces are kept, since they may belong to a token; line breaks around it do not.

    >>> unwrap('"00AB  "'), unwrap("<string>00AB  </string>")
    ('00AB  ', '00AB  ')
    """
    wrapped = _STRING.match(text.strip())
    if wrapped is not None:
        return html.unescape(wrapped[1] or "").strip("\r\n")
    bare = text.strip()
    if len(bare) >= 2 and bare[0] == bare[-1] == '"':
        try:
            return msgspec.json.decode(bare.encode(), type=str).strip("\r\n")
        except msgspec.DecodeError:
            return bare[1:-1]
    return text.strip("\r\n")


def find_error(body: bytes, content_type: str = "") -> EnetError | None:
    """The `ERROR:` that a body is, whatever its HTTP status; None for anything else."""
    if not _may_be_error(body):
        return None
    text = unwrap(decode_text(body, content_type)).strip()
    if text[:5].upper() != "ERROR":
        return None
    message = " ".join(text[5:].lstrip(": ").split())
    return EnetError(message if len(message) <= _LONGEST else message[: _LONGEST - 3] + "...", _kind(message))


def _may_be_error(body: bytes) -> bool:
    """Cheap, since pages of megabytes pass here too."""
    head = body[:300].removeprefix(_BOM).lstrip()
    return b"error" in head.lower() and not head.startswith((b"{", b"["))


def _kind(message: str) -> Kind:
    if _SESSION.search(message):
        return Kind.SESSION_LOST
    if "BaseDir" in message:
        return Kind.BAD_INSTANCE
    if "100000" in message:
        return Kind.NOT_INSTALLED
    if _LICENCE.search(message):
        return Kind.LICENCES_USED_UP
    return Kind.OTHER
