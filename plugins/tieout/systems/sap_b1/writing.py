"""What a write to Service Layer came to: done, refused, not sent, or unknown.

Unknown is every answer after which the object may or may not be there. Such a write is never repeated here: the caller
looks in SAP's books first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote, unquote

import msgspec

from tieout.odata.query import Key, literal
from tieout.systems.common.transport import NotAnswered
from tieout.systems.sap_b1.entities import ENTITY_SETS
from tieout.systems.sap_b1.errors import CHANGED_MEANWHILE, NOT_FOUND, read_problem

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_ENTITY_SET = re.compile(r"\w+")
_LOCATION = re.compile(r"(?:^|/)(\w+)\((.+)\)/?$", re.DOTALL)


class Effect(StrEnum):
    """What is known of a write's effect."""

    DONE = "done"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Write:
    """A request that changes SAP's books.

    Attributes:
        method: `POST` creates or calls an action, `PATCH` changes.
        path: Relative to the service root: `JournalEntries`, `JournalEntries(17)/Cancel`, or by `entity_path`.
        body: JSON, or None for an action without one.
        if_match: ETag that the entity must still have; SAP checks only those that begin with `W/`, and none in a batch.
    """

    method: Literal["POST", "PATCH"]
    path: str
    body: bytes | None = field(default=None, repr=False)
    if_match: str | None = None


@dataclass(frozen=True)
class Written:
    """What became of a write.

    Attributes:
        effect: What is known of the effect.
        status: HTTP status; None where no answer came.
        code: SAP's code, such as `-5002`; empty where SAP gave none.
        message: SAP's own words, or ours on a connection that failed.
        key: Key of what was created, such as `17` or `V100`; None where the answer does not tell.
        entity: The created entity's properties without its collections; amounts are Decimal.
        timed_out: No answer in time: the server may still be at work, and what it creates may appear later.
    """

    effect: Effect
    status: int | None = None
    code: str = ""
    message: str = ""
    key: str | None = None
    entity: Mapping[str, Any] | None = field(default=None, repr=False)
    timed_out: bool = False


def entity_path(entity_set: str, key: Key) -> str:
    """The path of one entity.

    >>> entity_path("JournalEntries", 17)
    'JournalEntries(17)'
    >>> entity_path("BusinessPartners", "O'Neil/1")
    "BusinessPartners('O''Neil%2F1')"
    """
    encoded = quote(literal(key), safe="'")
    return f"{entity_set}({encoded})"


def read_written(write: Write, status: int, headers: Mapping[str, str], body: bytes) -> Written:
    """What an answer to a write says about its effect.

    Args:
        write: The write, of which this is the answer.
        status: HTTP status.
        headers: Headers of the answer, found whatever their case.
        body: The whole body.
    """
    if status in (200, 201, 204):
        return _accepted(write, status, headers, body)
    problem = read_problem(status, body)
    answer = Written(Effect.REFUSED, status, problem.code, problem.message)
    if status == 412:
        return Written(Effect.REFUSED, status, CHANGED_MEANWHILE, problem.message)
    if not 400 <= status < 500 or problem.transient:
        return _unknown(answer)
    if problem.code == NOT_FOUND and write.method == "POST" and _posted_to(write) is not None:
        # An approval procedure answers like this, too, and has then created a draft.
        return _unknown(answer)
    return answer


def lost(error: NotAnswered) -> Written:
    """The effect of a write of which something left and no answer came."""
    return Written(
        Effect.UNKNOWN,
        status=error.partial.status if error.partial is not None else None,
        message=str(error),
        timed_out=error.timed_out,
    )


def key_of_location(location: str | None) -> tuple[str, str] | None:
    """Entity set and key in a `Location` header.

    >>> key_of_location("https://b1:50000/b1s/v2/JournalEntries(17)")
    ('JournalEntries', '17')
    >>> key_of_location("BusinessPartners('O''Neil%2F1')")
    ('BusinessPartners', "O'Neil/1")
    """
    match = _LOCATION.search(unquote(location or ""))
    if match is None:
        return None
    key = match[2]
    if len(key) >= 2 and key[0] == key[-1] == "'":
        key = key[1:-1].replace("''", "'")
    return match[1], key


def _accepted(write: Write, status: int, headers: Mapping[str, str], body: bytes) -> Written:
    entity = _entity(body)
    if entity is None and body.strip():
        return Written(Effect.UNKNOWN, status, message="The answer is not SAP's: a web page, or cut off.")
    if entity is not None and isinstance(entity.get("error"), dict):
        problem = read_problem(status, body)
        return Written(Effect.UNKNOWN, status, problem.code, problem.message)
    created = _posted_to(write)
    located = key_of_location(headers.get("Location"))
    if created is not None and located is not None and located[0] != created:
        return Written(Effect.UNKNOWN, status, message=f"SAP created {located[0]}({located[1]}) instead.")
    key = _key(created, entity) or (located[1] if located is not None else None)
    if created is not None and key is None and status == 200:
        return Written(Effect.UNKNOWN, status, message="The answer does not say what was created.")
    return Written(Effect.DONE, status, key=key if created is not None else None, entity=_flat(entity))


def _posted_to(write: Write) -> str | None:
    """The entity set that a POST creates in; None for changes and actions."""
    return write.path if write.method == "POST" and _ENTITY_SET.fullmatch(write.path) else None


def _entity(body: bytes) -> dict[str, Any] | None:
    try:
        value = _JSON.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


def _key(entity_set: str | None, entity: Mapping[str, Any] | None) -> str | None:
    known = ENTITY_SETS.get(entity_set or "")
    value = entity.get(known.key) if known is not None and entity is not None else None
    return str(value) if isinstance(value, int | str) and value != "" else None


def _flat(entity: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if entity is None:
        return None
    return {name: value for name, value in entity.items() if not isinstance(value, list | dict)}


def _unknown(answer: Written) -> Written:
    return Written(Effect.UNKNOWN, answer.status, answer.code, answer.message)
