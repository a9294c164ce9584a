"""`POST $batch`: taken apart completely, then carried out part by part until one fails.

A change set is all or nothing. The batch itself answers 202 on v1 and 200 on v2, whatever its parts say.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from urllib.parse import unquote

from sandbox.http_server import Reply, Request
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.errors import ServiceLayerError, error_reply, incomplete_batch, version_header
from sandbox.sap_b1.writing import Interrupted, Outcome

_STATUS = {"v1": 202, "v2": 200}
_CREATED = re.compile(r"^/?\$(?P<id>[^/$]+)(?P<rest>/.*)?$")
_REQUEST_LINE = re.compile(r"(GET|POST|PATCH|PUT|DELETE|MERGE) (\S+)(?: HTTP/1\.[01])?")

Perform = Callable[[Request, str], Outcome]
"""Carries out one part: its request, and its path below the root."""


@dataclass(frozen=True)
class Part:
    """One request of a batch; its target is what stood in its request line."""

    request: Request
    content_id: str | None = None


@dataclass(frozen=True)
class Step:
    """What succeeds or fails as one: a change set, or a single request."""

    parts: tuple[Part, ...]
    is_change_set: bool


@dataclass(frozen=True)
class Answer:
    """A reply to a part."""

    reply: Reply
    content_id: str | None = None


def run_batch(request: Request, version: str, company: Company, perform: Perform) -> Reply:
    """Answers a batch.

    Raises:
        ServiceLayerError: 400/-1000 where it cannot be taken apart; nothing was carried out then.
        Interrupted: A fault ended it; what was committed until then stays.
    """
    steps = parse_batch(request, version)
    answers: list[tuple[bool, list[Answer]]] = []
    delay = 0.0
    for step in steps:
        try:
            done, interruption = _carry_out(step, version, company, perform)
        except ServiceLayerError as error:
            answers.append((False, [Answer(error_reply(error, version))]))
            break
        except Interrupted as stop:
            stop.reply.delay += delay
            raise
        delay += sum(answer.reply.delay for answer in done)
        if interruption is not None:
            interruption.reply.delay = delay
            raise interruption
        answers.append((step.is_change_set, done))
    return _reply(answers, version, delay)


def _carry_out(step: Step, version: str, company: Company, perform: Perform) -> tuple[list[Answer], Interrupted | None]:
    """All parts of a step, or none: a single one is all or nothing by itself."""
    answers: list[Answer] = []
    created: dict[str, str] = {}
    interruption = None
    with company.transaction() if len(step.parts) > 1 else nullcontext():
        for part in step.parts:
            outcome = perform(part.request, _path(part.request.target, version, created))
            interruption = interruption or outcome.interruption
            location = dict(outcome.reply.headers).get("Location")
            if part.content_id is not None and location is not None:
                created[part.content_id] = unquote(location.partition(f"/b1s/{version}/")[2])
            answers.append(Answer(outcome.reply, part.content_id))
    return answers, interruption


def _path(target: str, version: str, created: dict[str, str]) -> str:
    """The path below the root: `/b1s/v2/Orders`, `https://host/b1s/v2/Orders`, `Orders` and `$1/Cancel` are good."""
    path = unquote(target.partition("?")[0])
    reference = _CREATED.match(path)
    if reference is not None and reference["id"] in created:
        return created[reference["id"]] + (reference["rest"] or "")
    before, root, rest = path.partition(f"/b1s/{version}/")
    return rest if root else before.removeprefix("/")


def parse_batch(request: Request, version: str) -> list[Step]:
    """Takes a batch apart. Raises ServiceLayerError (400/-1000) where anything is amiss."""
    boundary = _boundary(request.headers.get("content-type", ""))
    steps = [_step(headers, content, version) for headers, content in _split(request.body, boundary)]
    if not steps:
        raise incomplete_batch()
    return steps


def _step(headers: dict[str, str], content: bytes, version: str) -> Step:
    if not headers.get("content-type", "").startswith("multipart/mixed"):
        return Step((_part(headers, content, version),), is_change_set=False)
    boundary = _boundary(headers["content-type"])
    parts = tuple(_part(own, inner, version) for own, inner in _split(content, boundary))
    names = [part.content_id for part in parts]
    # v2 wants every operation of a change set named; names say who is who, so no two are the same.
    unnamed = version == "v2" and None in names
    told = [name for name in names if name is not None]
    if not parts or unnamed or len(set(told)) < len(told) or any(part.request.method == "GET" for part in parts):
        raise incomplete_batch()
    return Step(parts, is_change_set=True)


def _boundary(content_type: str) -> bytes:
    match = re.fullmatch(r'multipart/mixed\s*;\s*boundary="?([^";\s]{1,70})"?', content_type, re.IGNORECASE)
    if match is None:
        raise incomplete_batch()
    return match[1].encode()


def _split(body: bytes, boundary: bytes) -> list[tuple[dict[str, str], bytes]]:
    """(headers, content) of the parts of a multipart body; lines end with CRLF."""
    text = b"\r\n" + body
    found = list(re.finditer(rb"\r\n--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r\n|$)", text))
    if not found or found[-1][1] is None or any(match[1] for match in found[:-1]):
        raise incomplete_batch()
    return [_headed(text[start.end() + 2 : end.start()]) for start, end in pairwise(found)]


def _headed(content: bytes) -> tuple[dict[str, str], bytes]:
    head, blank, rest = content.partition(b"\r\n\r\n")
    if not blank:
        raise incomplete_batch()
    return _headers(head.split(b"\r\n")), rest


def _headers(lines: Sequence[bytes]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise incomplete_batch()
        headers[name.strip().lower()] = value.strip()
    return headers


def _part(headers: dict[str, str], content: bytes, version: str) -> Part:
    """A request inside `application/http`. v1 also takes its Content-ID from the request's own headers."""
    encoding = headers.get("content-transfer-encoding", "").lower()
    if headers.get("content-type", "").partition(";")[0].strip() != "application/http" or encoding != "binary":
        raise incomplete_batch()
    head, _, body = content.partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first.decode("latin-1").strip())
    if line is None:
        raise incomplete_batch()
    own = _headers([header for header in rest if header])
    length = own.get("content-length", "")
    body = body[: int(length)] if length.isdigit() else body
    content_id = headers.get("content-id") or (own.get("content-id") if version == "v1" else None)
    return Part(Request(line[1], line[2], own, body.strip()), content_id)


def _reply(answers: Sequence[tuple[bool, Sequence[Answer]]], version: str, delay: float) -> Reply:
    boundary = f"batchresponse_{uuid.uuid4()}"
    parts = [
        _change_set(answered, version) if is_change_set else _answer(answered[0], version)
        for is_change_set, answered in answers
    ]
    body = _joined(parts, boundary)
    headers = [("Content-Type", f"multipart/mixed;boundary={boundary}"), version_header(version)]
    return Reply(_STATUS[version], headers, body, delay=delay)


def _change_set(answers: Sequence[Answer], version: str) -> bytes:
    boundary = f"changesetresponse_{uuid.uuid4()}"
    head = f"Content-Type: multipart/mixed;boundary={boundary}\r\n\r\n".encode()
    return head + _joined([_answer(answer, version) for answer in answers], boundary)


def _joined(parts: Sequence[bytes], boundary: str) -> bytes:
    marker = f"--{boundary}\r\n".encode()
    return b"".join(marker + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def _answer(answer: Answer, version: str) -> bytes:
    """A part with a reply. v1 has the Content-ID among the reply's headers, v2 among the part's."""
    reply = answer.reply
    named = [] if answer.content_id is None else [f"Content-ID: {answer.content_id}"]
    outer = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", *(named if version == "v2" else [])]
    inner = [
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}",
        *(named if version == "v1" else []),
        *(f"{name}: {value}" for name, value in reply.headers if name != "Vary"),
    ]
    if reply.status != HTTPStatus.NO_CONTENT:
        inner.append(f"Content-Length: {len(reply.body)}")
    head = "\r\n".join([*outer, "", *inner, "", ""])
    return head.encode("latin-1") + reply.body
