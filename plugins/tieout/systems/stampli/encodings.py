"""Which characters a file's bytes are.

Files are split on bytes wherever that is safe, so that a record keeps the bytes it came with: in UTF-8 and in every
one-byte encoding that extends ASCII, quotes, delimiters, line breaks and `<` `>` are always themselves. UTF-16 is
turned into UTF-8 for splitting, and each record's bytes back.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

AUTO = "auto"
UTF_8 = "utf-8"
WINDOWS_1252 = "windows-1252"

_UTF_16 = {"utf-16": "utf-16-le", "utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be"}
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_XML_WITHOUT_MARK = ((b"<\0?\0", "utf-16-le"), (b"\0<\0?", "utf-16-be"))
_XML_DECLARATION = re.compile(rb"""\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")


@dataclass(frozen=True)
class Encoding:
    """How a file's text is encoded.

    Attributes:
        charset: A name that Python knows; `auto` decides for each record by itself: UTF-8, else Windows-1252.
        mark: Bytes of the byte order mark before the text.
        as_utf_8: The file is turned into UTF-8 before it is split.
    """

    charset: str
    mark: int = 0
    as_utf_8: bool = False

    @property
    def split_charset(self) -> str:
        """The encoding of what is split."""
        return UTF_8 if self.as_utf_8 else self.charset

    def original(self, piece: bytes) -> bytes:
        """The file's own bytes of a piece that was split off."""
        return piece.decode(UTF_8).encode(self.charset) if self.as_utf_8 else piece


def supported(name: str) -> str | None:
    """The name of an encoding that files may have, or None for one that cannot be split or does not exist."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    if found in ("utf-8", "utf-8-sig", "ascii"):
        return UTF_8
    return _UTF_16.get(found) or (_registered_name(found) if _extends_ascii(found) else None)


def _registered_name(name: str) -> str:
    """IANA's name of an encoding rather than Python's, as people will read it."""
    return re.sub("^cp125", "windows-125", re.sub("^iso8859-", "iso-8859-", name))


@lru_cache(maxsize=64)
def _extends_ascii(name: str) -> bool:
    """One byte per character, and the first 128 are ASCII's."""
    if name == "raw-unicode-escape" or _decoded(bytes(range(128)), name) != bytes(range(128)).decode("ascii"):
        return False
    characters = {byte: _decoded(byte, name) for byte in (bytes([code]) for code in range(128, 256))}
    for byte, character in characters.items():
        if character is None:
            # A byte that means something only before another one is half a character.
            if any(_decoded(byte + bytes([following]), name) for following in (0x41, 0xA1, byte[0])):
                return False
        elif len(character) != 1 or character.encode(name) != byte:
            return False
    # Encodings that switch between alphabets within the text have no such characters at all.
    return any(characters.values())


def _decoded(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeError, LookupError):
        return None


def csv_encoding(first_bytes: bytes, configured: str) -> Encoding:
    """The encoding of a CSV file: a byte order mark is believed, else what the layout says."""
    found = _marked(first_bytes) or Encoding(configured)
    return replace(found, as_utf_8=found.charset in _UTF_16.values())


def xml_encoding(first_bytes: bytes, configured: str) -> Encoding | None:
    """The encoding of an XML file: byte order mark, layout, XML declaration, UTF-8, in this order.

    Returns:
        None when the declaration names an encoding that is not supported.
    """
    found = _marked(first_bytes)
    if found is None:
        charset = configured if configured != AUTO else _declared(first_bytes)
        if charset is None:
            return None
        found = Encoding(charset)
    return replace(found, as_utf_8=found.charset != UTF_8)


def _declared(first_bytes: bytes) -> str | None:
    for start, charset in _XML_WITHOUT_MARK:
        if first_bytes.startswith(start):
            return charset
    declaration = _XML_DECLARATION.match(first_bytes)
    name = UTF_8 if declaration is None else supported(declaration[1].decode("ascii"))
    # Readable as ASCII, so it is not UTF-16, whatever it says: programs that write text out anew leave such words.
    return UTF_8 if name in _UTF_16.values() else name


def _marked(first_bytes: bytes) -> Encoding | None:
    for mark, charset in _BYTE_ORDER_MARKS:
        if first_bytes.startswith(mark):
            return Encoding(charset, len(mark))
    return None


def utf_8(chunks: Iterable[bytes], charset: str) -> Iterator[bytes]:
    """A stream in any encoding as UTF-8.

    Raises:
        UnicodeDecodeError: The bytes are not in that encoding.
    """
    decoder = codecs.getincrementaldecoder(charset)("strict")
    for chunk in chunks:
        yield decoder.decode(chunk).encode(UTF_8)
    yield decoder.decode(b"", True).encode(UTF_8)


def decode(data: bytes, charset: str) -> tuple[str, str, bool]:
    """A record's text.

    Args:
        data: Its bytes.
        charset: Their encoding, or `auto`.

    Returns:
        The text, the encoding that it was read in, and whether all bytes were right; wrong ones are replaced.
    """
    for attempt in (UTF_8, WINDOWS_1252) if charset == AUTO else (charset,):
        try:
            return data.decode(attempt), attempt, True
        except UnicodeDecodeError:
            continue
    last = WINDOWS_1252 if charset == AUTO else charset
    return data.decode(last, "replace"), last, False
