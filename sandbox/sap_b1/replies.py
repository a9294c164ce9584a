"""Replies that carry one record, or nothing, in the form of a root."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from sandbox.http_server import Reply
from sandbox.sap_b1.edm import INTEGER, EntitySet
from sandbox.sap_b1.errors import content_type, version_header
from sandbox.sap_b1.table import Key, Record, Table, etag, to_wire


def json_content(content: Any, version: str, *, status: int = 200) -> Reply:
    """A reply with JSON as the Service Layer prints it."""
    body = json.dumps(content, ensure_ascii=False, indent="\t", separators=(",", " : ")).encode()
    return Reply(
        status, [("Content-Type", content_type(version)), version_header(version), ("Vary", "Accept-Encoding")], body
    )


def record_reply(shown: Record, entity: EntitySet, version: str, url: str, *, status: int = 200) -> Reply:
    """A single record.

    Args:
        shown: The record, or the part of it that was selected.
        entity: Its entity set.
        version: The root.
        url: The server's base URL.
        status: 200 for one that was read, 201 for one that was made.
    """
    name = "odata.metadata" if version == "v1" else "@odata.context"
    kind = "@Element" if version == "v1" else "$entity"
    content: dict[str, Any] = {name: f"{url}/b1s/{version}/$metadata#{entity.name}/{kind}"}
    headers = []
    if entity.has_etag:
        # Without DataVersion in the selection the real server derives the tag from version 1.
        tag = etag(shown.get("DataVersion", 1))
        content["odata.etag" if version == "v1" else "@odata.etag"] = tag
        headers.append(("ETag", tag))
    reply = json_content({**content, **to_wire(shown, entity, version)}, version, status=status)
    reply.headers += headers
    return reply


def location(entity: EntitySet, key: Key, version: str, url: str) -> str:
    """The address of a record: `…/JournalEntries(17)`, `…/BusinessPartners('c1')`."""
    text = str(key) if entity.key_type == INTEGER else "'" + quote(str(key).replace("'", "''"), safe="'") + "'"
    return f"{url}/b1s/{version}/{entity.name}({text})"


def created_reply(table: Table, key: Key, version: str, url: str, *, prefer: str) -> Reply:
    """201 with the whole record, or 204 where the client prefers none; both say where it is."""
    entity, row = table.entity, table.rows[key]
    if "return-no-content" in prefer:
        reply = Reply(204, [version_header(version), ("Preference-Applied", "return-no-content")])
        if entity.has_etag:
            reply.headers.append(("ETag", etag(row["DataVersion"])))
    else:
        reply = record_reply(row, entity, version, url, status=201)
    reply.headers.append(("Location", location(entity, key, version, url)))
    return reply
