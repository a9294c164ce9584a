"""A file's lines as records of 128 bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator

from tieout.formats.coda.fields import ENCODING
from tieout.formats.coda.reports import Findings

LENGTH = 128
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# DOS's end of file, at the end or between files that were joined, belongs to no record; nor do line ends.
_AROUND = b"\r\n\x1a"
_UNDEFINED = {0x81, 0x8D, 0x8F, 0x90, 0x9D}
_TEXT = bytes(byte for byte in range(0x20, 0x100) if byte != 0x7F and byte not in _UNDEFINED)


def records(data: bytes, findings: Findings) -> Iterator[tuple[int, bytes]]:
    """Every line with its number, without line end; blank ones at the end of the file are left out.

    A line in UTF-8 comes in windows-1252, so that its fields stand in their places; it is reported.
    """
    blanks: list[int] = []
    for number, raw in enumerate(io.BytesIO(data), 1):
        line = raw.strip(_AROUND)
        if number == 1 and line.startswith(_BYTE_ORDER_MARK):
            findings.fatal("CODA-ENCODING", 1, "The file begins with the mark of UTF-8; CODA is windows-1252.")
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line or line.isspace():
            blanks.append(number)
            continue
        for blank in blanks:
            yield blank, b""
        blanks.clear()
        if len(line) != LENGTH:
            line = _from_utf8(number, line, findings)
        odd = line.translate(None, _TEXT)
        if odd:
            _report_odd_bytes(number, odd, findings)
        yield number, line


def _from_utf8(number: int, line: bytes, findings: Findings) -> bytes:
    try:
        decoded = line.decode()
    except UnicodeDecodeError:
        return line
    if len(decoded) != LENGTH:
        return line
    findings.fatal(
        "CODA-ENCODING",
        number,
        f"The line is UTF-8 and has {len(line)} bytes; in windows-1252, which receivers expect, it has {LENGTH}.",
    )
    return decoded.encode(ENCODING, "replace")


def _report_odd_bytes(number: int, odd: bytes, findings: Findings) -> None:
    named = ", ".join(f"{byte:#04x}" for byte in sorted(set(odd)))
    findings.warn("CODA-ENCODING", number, f"The line has bytes that are no text in windows-1252: {named}.")
