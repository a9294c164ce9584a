"""How the pool and its workers talk: frames of two lengths, a JSON header and a body of bytes."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, Final

LENGTHS: Final = struct.Struct("!II")


def packed(header: dict[str, Any], body_length: int) -> bytes:
    """The beginning of a frame, up to its body."""
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), body_length) + text


def write(stream: BinaryIO, header: dict[str, Any]) -> None:
    """Write a frame without a body."""
    stream.write(packed(header, 0))
    stream.flush()


def read(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None at the end of the stream, also when it ends within a frame."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    header_length, body_length = LENGTHS.unpack(lengths)
    header, body = stream.read(header_length), stream.read(body_length)
    if len(header) < header_length or len(body) < body_length:
        return None
    return json.loads(header), body
