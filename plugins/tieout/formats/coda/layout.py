"""Which record may follow which within a statement, and what its next and link codes then say."""

from __future__ import annotations

# Records 2 and 3 have parts: the first is always there, the others where they are needed.
PARTED = (b"21", b"22", b"23", b"31", b"32", b"33")
PARTS_BEFORE = {
    b"22": (b"21",),
    b"23": (b"21", b"22"),
    b"32": (b"31",),
    b"33": (b"31", b"32"),
}

# Transaction types, position 54 of record 2.1. Details repeat, in parts, what the record before them has in total.
BOOKED = (b"0", b"1", b"2", b"3")
DETAILS = (b"5", b"6", b"7", b"8", b"9")

_NAMES = {
    b"0": "header (0)",
    b"1": "old balance (1)",
    b"4": "free communication (4)",
    b"8": "new balance (8)",
    b"9": "trailer (9)",
}


def name_of(kind: bytes) -> str:
    """The record's type, with its part where it has one, for people."""
    if kind in _NAMES:
        return _NAMES[kind]
    written = kind.decode("ascii", "replace")
    if kind[:1] == b"2":
        return f"movement record 2.{written[1:]}"
    if kind[:1] == b"3":
        return f"information record 3.{written[1:]}"
    return f"record of type {written!r}"


def codes_of(kind: bytes, line: bytes) -> bytes:
    """What the record says of the one after it: next code (126) and link code (128), or the latter alone."""
    return line[125:126] + line[127:128] if kind in PARTED else line[127:128]


def codes_before(kind: bytes, following: bytes) -> bytes:
    """What `codes_of` a record of this type must be when one of type `following` comes after it.

    The next code says that the same record goes on in its next part, the link code that an information record follows
    (after records 2 and 3) or a free communication (after records 8 and 4).
    """
    if kind not in PARTED:
        return b"1" if following == b"4" else b"0"
    if kind in PARTS_BEFORE.get(following, ()):
        return b"10"
    return b"01" if following == b"31" else b"00"
