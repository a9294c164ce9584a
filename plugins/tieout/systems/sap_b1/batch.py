"""Several writes in one `$batch` request: each in a change set of its own, in order.

SAP carries them out one after another and stops at the first that fails; a change set that fails is rolled back.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message

from urllib3 import HTTPHeaderDict

from tieout.systems.common.transport import Reply
from tieout.systems.sap_b1.errors import SapError, read_problem
from tieout.systems.sap_b1.writing import Effect, Write, Written, read_written

log = logging.getLogger(__name__)

_CRLF = b"\r\n"
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})")
_BLANK_LINE = re.compile(rb"(?:^|\r?\n)[ \t]*\r?\n")
_FIRST_DELIMITER = re.compile(rb"(?:^|\n)--([^\s]+)[ \t]*\r?\n")

NOT_REACHED = "SAP stopped before it, at a write that failed."
TOO_MANY_PARTS = "There are more answers to the batch than writes, so that none can be told from the other."


@dataclass(frozen=True)
class BatchPart:
    """The answer to one write of a batch; `status` is 0 where a part is not an HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    content_id: str | None = None


@dataclass(frozen=True)
class BatchReply:
    """The parts that arrived whole, in order, and whether the answer arrived to its end."""

    parts: tuple[BatchPart, ...]
    complete: bool


def encode_batch(writes: Sequence[Write], *, root: str, host: str) -> tuple[str, bytes]:
    """The `Content-Type` and body of a batch.

    Args:
        writes: At least one write, whose path is percent-encoded.
        root: Path of the service root, such as `/b1s/v2`.
        host: Host and port, for the parts' `Host` header.

    Raises:
        ValueError: A write has `if_match`: SAP ignores it within a batch, and a change would be lost in silence.
    """
    if any(write.if_match is not None for write in writes):
        raise ValueError("SAP ignores If-Match within a batch: send this write by itself.")
    # v2 demands a Content-ID among the MIME headers, unique in the batch. v1 needs none and has it among the headers
    # of the HTTP request; a field client (B1SLayer) sends it among the MIME headers there, too, so v1 gets both.
    inner_id = root.endswith("/v1")
    boundary = f"batch_{uuid.uuid4()}"
    lines: list[bytes] = []
    for number, write in enumerate(writes, start=1):
        changeset = f"changeset_{uuid.uuid4()}"
        lines += [
            f"--{boundary}".encode(),
            f"Content-Type: multipart/mixed;boundary={changeset}".encode(),
            b"",
            f"--{changeset}".encode(),
            b"Content-Type: application/http",
            b"Content-Transfer-Encoding: binary",
            f"Content-ID: {number}".encode(),
            b"",
            f"{write.method} {root}/{write.path} HTTP/1.1".encode(),
            f"Host: {host}".encode(),
        ]
        if inner_id:
            lines.append(f"Content-ID: {number}".encode())
        if write.body is not None:
            lines.append(b"Content-Type: application/json")
        lines += [b"", write.body or b"", f"--{changeset}--".encode()]
    lines += [f"--{boundary}--".encode(), b""]
    # A quoted boundary is answered with 405 (seen by B1SLayer).
    return f"multipart/mixed;boundary={boundary}", _CRLF.join(lines)


def decode_batch(content_type: str | None, body: bytes) -> BatchReply | None:
    """Reads the answer to a batch.

    Lines may end in CRLF or LF, change sets may be nested or not, `Content-Length` within parts is not relied on. Of an
    answer that broke off, the parts that are followed by a delimiter count.

    Returns:
        The parts, or None where the answer is no multipart document.
    """
    boundary = _boundary(content_type)
    if boundary is None:
        first = _FIRST_DELIMITER.search(body)
        if first is None or body[: first.start()].strip():
            return None
        boundary = first[1]
    parts: list[BatchPart] = []
    complete = _collect(body, boundary, parts)
    return BatchReply(tuple(parts), complete)


def read_batch(writes: Sequence[Write], reply: Reply, *, timed_out: bool = False) -> list[Written]:
    """What became of each write of a batch.

    Args:
        writes: The writes as they were sent.
        reply: The answer, or as much of it as arrived.
        timed_out: It broke off because the server was too slow.

    Raises:
        SapError: The batch as a whole is refused, so that nothing of it was carried out.
    """
    decoded = decode_batch(reply.headers.get("Content-Type"), reply.body) if reply.status in (200, 202) else None
    if decoded is not None:
        return _results(writes, decoded, timed_out)
    problem = read_problem(reply.status, reply.body)
    if 400 <= reply.status < 500 and not problem.transient:
        raise SapError(problem.status, problem.code, problem.message, "$batch")
    message = problem.message or "The answer to the batch is not SAP's."
    return [Written(Effect.UNKNOWN, reply.status, problem.code, message, timed_out=timed_out)] * len(writes)


def session_lost(part: BatchPart) -> bool:
    """Whether a part says that the session is gone: neither it nor what follows was carried out."""
    return part.status == 401 and read_problem(part.status, part.body).session_lost


def _results(writes: Sequence[Write], reply: BatchReply, timed_out: bool) -> list[Written]:
    if len(reply.parts) > len(writes):
        # No error: an error would tell the caller that nothing was carried out.
        log.error("SAP Business One answers a batch of %s writes with %s parts", len(writes), len(reply.parts))
        return [Written(Effect.UNKNOWN, message=TOO_MANY_PARTS)] * len(writes)
    results: list[Written] = []
    for number, (write, part) in enumerate(zip(writes, reply.parts, strict=False), start=1):
        if part.content_id is not None and part.content_id.strip("<>") != str(number):
            break
        results.append(_read_part(write, part))
    rest = Written(Effect.UNKNOWN, message="The answer to the batch does not tell.", timed_out=timed_out)
    if results and len(results) == len(reply.parts) and _stopped(reply):
        rest = Written(Effect.NOT_SENT, message=NOT_REACHED)
    return results + [rest] * (len(writes) - len(results))


def _read_part(write: Write, part: BatchPart) -> Written:
    if part.status == 0:
        return Written(Effect.UNKNOWN, message="A part of the answer to the batch is not readable.")
    if session_lost(part):
        problem = read_problem(part.status, part.body)
        return Written(Effect.NOT_SENT, part.status, problem.code, problem.message)
    return read_written(write, part.status, part.headers, part.body)


def _stopped(reply: BatchReply) -> bool:
    """Whether nothing after the last part was carried out."""
    last = reply.parts[-1]
    return session_lost(last) or (last.status >= 400 and reply.complete)


def _collect(data: bytes, boundary: bytes, found: list[BatchPart]) -> bool:
    """Adds the whole parts of a multipart document; True if its closing delimiter is there."""
    delimiter = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(?:(--)[ \t]*(?=[\r\n]|$)|[ \t]*(?=\r?\n))")
    start: int | None = None
    for match in delimiter.finditer(data):
        if start is not None:
            _add(data[start : match.start()], found)
        if match[1]:
            return True
        start = match.end()
    if start is not None:
        _add_of_broken(data[start:], found)
    return False


def _add(part: bytes, found: list[BatchPart]) -> None:
    """Adds what is in a part that is followed by a delimiter."""
    headers, content = _split(_without_line_end(part))
    nested = _boundary(headers.get("Content-Type"))
    if nested is None:
        found.append(_http_part(headers, content))
    else:
        # The outer delimiter ends a change set also where its own is missing.
        _collect(content + b"\r\n--" + nested + b"--", nested, found)


def _add_of_broken(part: bytes, found: list[BatchPart]) -> None:
    """Adds the whole parts of a change set within which the answer broke off."""
    headers, content = _split(_without_line_end(part))
    nested = _boundary(headers.get("Content-Type"))
    if nested is not None:
        _collect(content, nested, found)


def _http_part(mime: HTTPHeaderDict, content: bytes) -> BatchPart:
    content = content.lstrip(b"\r\n")
    status = _STATUS_LINE.match(content)
    if status is None:
        return BatchPart(0, mime, b"")
    line_end = content.find(b"\n")
    rest = content[line_end + 1 :] if line_end >= 0 else b""
    headers, body = _split(rest)
    return BatchPart(int(status[1]), headers, body, mime.get("Content-ID") or headers.get("Content-ID"))


def _split(part: bytes) -> tuple[HTTPHeaderDict, bytes]:
    """Headers and content of a part that begins with its headers; they end at a blank line or with the part."""
    blank = _BLANK_LINE.search(part)
    head, content = (part[: blank.start()], part[blank.end() :]) if blank else (part, b"")
    headers = HTTPHeaderDict()
    for line in head.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            headers.add(name.strip(), value.strip())
    return headers, content


def _boundary(content_type: str | None) -> bytes | None:
    if not content_type:
        return None
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary() if message.get_content_maintype() == "multipart" else None
    return boundary.encode("latin-1") if boundary else None


def _without_line_end(part: bytes) -> bytes:
    """A part without the end of the delimiter's line."""
    return part[part.find(b"\n") + 1 :]
