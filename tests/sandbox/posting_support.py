"""Bodies and batches that the posting tests send."""

from __future__ import annotations

import json
from email.message import Message
from email.parser import BytesParser
from typing import Any

import urllib3
from sandbox_client import Client

Body = dict[str, Any]
DAY = "2026-01-15"


def entry(**changes: Any) -> Body:
    """A sound journal entry of 121.00 EUR; changes replace header properties."""
    return {
        "ReferenceDate": DAY, "Memo": "Paper", "Reference": "INV-1", "Reference2": "st-1", "Reference3": "KEY-1",
        "JournalEntryLines": [
            {"AccountCode": "616000", "Debit": 100, "CostingCode": "CC-100"},
            {"AccountCode": "411000", "Debit": 21, "TaxGroup": "I1"},
            {"ShortName": "V10010", "Credit": 121},
        ],
        **changes,
    }  # fmt: skip


def with_line(number: int, **changes: Any) -> Body:
    """The sound entry with one line changed, counted from 0; None takes a property away."""
    body = entry()
    line = {**body["JournalEntryLines"][number], **changes}
    body["JournalEntryLines"][number] = {name: value for name, value in line.items() if value is not None}
    return body


def error_of(reply: urllib3.BaseHTTPResponse) -> tuple[int, str, str]:
    """(status, code, message) of either root's error."""
    error = reply.json()["error"]
    message = error["message"]
    return reply.status, str(error["code"]), message["value"] if isinstance(message, dict) else message


def operation(
    method: str, target: str, body: Body | None = None, *, content_id: str | None = "1", version: str = "v2"
) -> bytes:
    """One `application/http` part, the Content-ID where its root has it."""
    named = [] if content_id is None else [f"Content-ID: {content_id}"]
    head = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    head += named if version == "v2" else []
    inner = [f"{method} {target}", *(named if version == "v1" else []), "Content-Type: application/json"]
    content = "" if body is None else json.dumps(body)
    return "\r\n".join([*head, "", *inner, "", content]).encode()


def change_set(*operations: bytes, boundary: str = "changeset_1") -> bytes:
    """A nested multipart."""
    head = f"Content-Type: multipart/mixed;boundary={boundary}\r\n\r\n".encode()
    return head + multipart(*operations, boundary=boundary)


def multipart(*parts: bytes, boundary: str) -> bytes:
    """Parts between their delimiters."""
    return b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts) + f"--{boundary}--\r\n".encode()


def send_batch(client: Client, *parts: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    """Posts a batch of these parts."""
    return send_raw(client, multipart(*parts, boundary="batch_1"), "multipart/mixed;boundary=batch_1", **headers)


def send_raw(client: Client, body: bytes, content_type: str, **headers: str) -> urllib3.BaseHTTPResponse:
    """Posts bytes as a batch."""
    sent = {"Cookie": client.cookie, "Content-Type": content_type}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return client.pool.request("POST", f"{client.url}/b1s/{client.version}/$batch", headers=sent, body=body)


def parts_of(reply: urllib3.BaseHTTPResponse) -> list[Message]:
    """The parts of a multipart reply, as Python's own mail parser sees them."""
    message = BytesParser().parsebytes(
        b"Content-Type: " + reply.headers["Content-Type"].encode() + b"\r\n\r\n" + reply.data
    )
    assert message.is_multipart() and not message.defects
    return list(message.get_payload())  # type: ignore[arg-type]


def inner(part: Message) -> tuple[int, dict[str, str], Any]:
    """(status, headers in lower case, JSON or None) of the reply inside a part."""
    text = part.get_payload(decode=True)
    assert isinstance(text, bytes)
    head, _, body = text.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body) if body.strip() else None
