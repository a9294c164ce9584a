"""XML elements of records, out of a stream.

Read by expat, which comes with Python. A document type declaration is refused as soon as it begins, so there are no
entities to expand and nothing outside the file is ever read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from tieout.systems.stampli.encodings import UTF_8
from tieout.systems.stampli.records import Limits, UnreadableFile

MAX_DEPTH = 50
MAX_ELEMENTS_PER_LINE = 50

_FORBIDDEN = "a document type declaration (<!DOCTYPE …>) is not allowed, as it can define entities"


@dataclass
class Node:
    """An element of a record.

    Attributes:
        name: Without namespace prefix, in small letters.
        line: Where it begins.
        attributes: Names as those of elements.
        children: Elements in it.
        text: The text directly in it.
    """

    name: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def named(self, name: str) -> Iterator[Node]:
        """The children of a name."""
        return (child for child in self.children if child.name == name.casefold())

    def texts(self) -> Iterator[tuple[str, str]]:
        """(name, text) of attributes and of children that hold no elements themselves."""
        yield from self.attributes.items()
        for child in self.children:
            if not child.children:
                yield child.name, child.text


def local_name(name: str) -> str:
    """A name without namespace prefix, in small letters."""
    return name.rpartition(":")[2].casefold()


class Elements:
    """Feeds expat, and gives every record's element when it is complete.

    Args:
        name: The file's name, for messages.
        limits: The longest value, and the most elements of a record.
        done: Takes each complete record element.
        is_record: Whether an element of this name is a record.
    """

    def __init__(
        self, name: str, limits: Limits, done: Callable[[Node], None], is_record: Callable[[str], bool]
    ) -> None:
        self._name = name
        self._limits = limits
        self._done = done
        self._is_record = is_record
        self._open: list[Node] = []
        self._texts: list[list[str]] = []
        self._text_lengths: list[int] = []
        self._elements = 0
        self.outside: list[str] = []
        self.depth = 0
        self.fed = 0
        parser = expat.ParserCreate(UTF_8)
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.DefaultHandler = self.other
        parser.StartDoctypeDeclHandler = self._doctype
        self.parser = parser

    def feed(self, data: bytes, final: bool = False) -> None:
        """Parses on.

        Raises:
            UnreadableFile: The document is not well-formed, has a document type, or a value is too long.
        """
        self.fed += len(data)
        try:
            self.parser.Parse(data, final)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise self.refusal(f"the document is not well-formed XML ({reason})", error.lineno) from None
        if not final and self.fed - self.parser.CurrentByteIndex > len(data) + 2 * self._limits.max_field_bytes:
            raise self._too_long()

    def close(self) -> None:
        """Ends the document."""
        self.feed(b"", final=True)

    def refusal(self, problem: str, line: int | None = None) -> UnreadableFile:
        """The error for something that a file must not have."""
        line = self.parser.CurrentLineNumber if line is None else line
        return UnreadableFile(f"{self._name}, line {line}: {problem}.", line)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.refusal(f"elements are nested more than {MAX_DEPTH} deep")
        name = local_name(name)
        if not self._open:
            if not self._is_record(name):
                self.outside.append(name)
                return
            self._elements = 0
        self._elements += 1 + len(attributes)
        if self._elements > MAX_ELEMENTS_PER_LINE * self._limits.max_rows_per_record:
            raise self.refusal("this record has too many elements")
        node = Node(name, self.parser.CurrentLineNumber)
        for attribute, value in attributes.items():
            if len(value) > self._limits.max_field_bytes:
                raise self._too_long()
            node.attributes[local_name(attribute)] = value
        self._open.append(node)
        self._texts.append([])
        self._text_lengths.append(0)

    def characters(self, text: str) -> None:
        """Text in an element."""
        if not self._open:
            return
        self._texts[-1].append(text)
        self._text_lengths[-1] += len(text)
        if self._text_lengths[-1] > self._limits.max_field_bytes:
            raise self._too_long()

    def end(self, name: str) -> None:
        """An element ends."""
        self.depth -= 1
        if not self._open:
            self.outside.pop()
            return
        node = self._open.pop()
        node.text = "".join(self._texts.pop())
        self._text_lengths.pop()
        if self._open:
            self._open[-1].children.append(node)
        else:
            self._done(node)

    def other(self, data: str) -> None:
        """Comments, instructions and the like."""

    def _doctype(self, *_: object) -> None:
        raise self.refusal(_FORBIDDEN)

    def _too_long(self) -> UnreadableFile:
        return self.refusal(f"a value or tag is longer than {self._limits.max_field_bytes} bytes")
