"""XML files: one element per record, with its header's values and its lines as child elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tieout.systems.stampli.assembling import BAD_ROW, Extent, RawRecord, Texts, assemble, key_of
from tieout.systems.stampli.columns import RECORD_KINDS
from tieout.systems.stampli.content_types import XML, LineRange, Origin
from tieout.systems.stampli.encodings import AUTO, UTF_8, Encoding, xml_encoding
from tieout.systems.stampli.layout import Layout
from tieout.systems.stampli.records import CORRECT_THE_LAYOUT, EMPTY_FILE, Limits, SourceRecord, UnreadableFile
from tieout.systems.stampli.sources import Piece, Runs, Source, gathered, pieces
from tieout.systems.stampli.splitting import line_breaks
from tieout.systems.stampli.values import BLANKS
from tieout.systems.stampli.xml_elements import Elements, Node, local_name


def read_xml(source: Source, layout: Layout) -> Iterator[SourceRecord]:
    """Checks a document from beginning to end, then reads its records.

    Returns:
        The records, in the order of their elements.

    Raises:
        UnreadableFile: At once, before there is any record.
    """
    encoding = xml_encoding(source.first_bytes(), layout.encoding)
    if encoding is None:
        raise UnreadableFile(
            f"{source.name}, line 1: the document says it is in an encoding that is not supported. Export it as UTF-8.",
            1,
        )
    scan = _Scan(source, layout)
    scan.read(encoding)
    return _records(source, layout, encoding, scan)


def read_xml_payload(data: bytes, layout: Layout, origin: Origin) -> SourceRecord:
    """One record from its payload: its element, or several that share an id.

    Raises:
        UnreadableFile: The payload is not XML.
    """
    charset = origin.charset or AUTO
    text = data.decode(UTF_8 if charset == AUTO else charset).encode(UTF_8)
    # It was within the limits when it was read from its file; they may have been wider than they are now.
    unlimited = Limits(max_rows_per_record=len(text), max_field_bytes=len(text))
    nodes = _parsed(b"<payload>" + text + b"</payload>", layout, origin.name, unlimited)
    return _record(layout, nodes, origin, Extent(data, 0, len(data)))


def _parsed(document: bytes, layout: Layout, name: str, limits: Limits) -> list[Node]:
    nodes: list[Node] = []
    wanted = _record_element(layout)
    elements = Elements(name, limits, nodes.append, lambda element: element == wanted)
    elements.feed(document)
    elements.close()
    return nodes


def _record_element(layout: Layout) -> str:
    return (layout.settings.xml.record or layout.kind.element).casefold()


class _Scan(Elements):
    """The first reading: the whole document is parsed, and it is noted where records begin and end."""

    def __init__(self, source: Source, layout: Layout) -> None:
        self._record_name = _record_element(layout)
        super().__init__(source.name, source.limits, self._complete, lambda name: name == self._record_name)
        self._source = source
        self._layout = layout
        self._settings = layout.settings.xml
        self._foreign = {kind.element.casefold() for kind in RECORD_KINDS.values()} - {self._record_name}
        self._begin = 0
        self._ended: tuple[int, int, str] | None = None  # line, rows, key of a record whose end is the next event
        self._first_other: tuple[str, int] | None = None
        self._root_seen = False
        self.root: dict[str, str] = {}
        self.runs = Runs(source.limits, source.name)

    def read(self, encoding: Encoding) -> None:
        """Parses the document.

        Raises:
            UnreadableFile: It is not well-formed, or not an export of these records.
        """
        blank = True
        for chunk in self._source.chunks(encoding):
            if blank and not chunk.strip():
                continue
            blank = False
            self.feed(chunk)
        if blank:
            raise UnreadableFile(f"{self._source.name} is empty: there are only blanks.", reason_code=EMPTY_FILE)
        self.close()
        self._mark(self.fed)
        if not self.runs.starts and self._first_other is not None:
            name, line = self._first_other
            raise UnreadableFile(
                f"{self._source.name}, line {line}: there is <{name}>, but no <{self._record_name}> in the document.",
                line,
                fix_hint=CORRECT_THE_LAYOUT,
            )

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._mark(self.parser.CurrentByteIndex)
        local = local_name(name)
        if not self._root_seen:
            self._check_root(local, attributes)
        elif not self._open and local != self._record_name:
            self._outside(name)
        if self._open:
            self.runs.check_record(self._begin, self.parser.CurrentByteIndex, self._open[0].line, 1)
        elif local == self._record_name:
            self._begin = self.parser.CurrentByteIndex
        super().start(name, attributes)

    def characters(self, text: str) -> None:
        """Text in an element."""
        self._mark(self.parser.CurrentByteIndex)
        super().characters(text)

    def end(self, name: str) -> None:
        """An element ends."""
        self._mark(self.parser.CurrentByteIndex)
        super().end(name)

    def other(self, data: str) -> None:
        """Comments, instructions and the like."""
        self._mark(self.parser.CurrentByteIndex)

    def _check_root(self, name: str, attributes: Mapping[str, str]) -> None:
        self._root_seen = True
        expected = self._settings.root
        if name not in (expected.casefold(), self._record_name):
            line = self.parser.CurrentLineNumber
            raise UnreadableFile(
                f"{self._source.name}, line {line}: the document is a <{name}> where the layout says <{expected}>.",
                line,
                fix_hint=CORRECT_THE_LAYOUT,
            )
        told = {attribute.casefold(): attribute for attribute in self._settings.root_attributes}
        for attribute, value in attributes.items():
            known = told.get(local_name(attribute))
            if known and name != self._record_name and len(value) <= self._limits.max_field_bytes:
                self.root[known] = value

    def _outside(self, name: str) -> None:
        """An element that belongs to no record: a folder around records, or a record of another kind."""
        if local_name(name) in self._foreign:
            raise self.refusal(f"<{name}> is not {self._layout.kind.a_noun}; one file holds records of one kind")
        self._first_other = self._first_other or (name, self.parser.CurrentLineNumber)

    def _complete(self, node: Node) -> None:
        raw = _raw(self._layout, [node], self.root)
        key = key_of(self._layout, raw.headers[0].values)
        self._ended = (node.line, max(1, len(raw.lines)), key)
        self.runs.check_record(0, 0, node.line, len(raw.lines))

    def _mark(self, position: int) -> None:
        """A record's element ends where the next thing begins."""
        if self._ended is not None:
            line, rows, key = self._ended
            self.runs.add(self._begin, position, line, rows, key or ("", line, position))
            self._ended = None


def _records(source: Source, layout: Layout, encoding: Encoding, scan: _Scan) -> Iterator[SourceRecord]:
    """The second reading: each element by itself."""

    def parse(piece: Piece) -> Node:
        return _parsed(piece.data, layout, source.name, source.limits)[0]

    def piece_key(piece: Piece) -> str:
        return key_of(layout, _raw(layout, [parse(piece)], scan.root).headers[0].values)

    keys = _FallbackKeys(source.name)
    for found in gathered(pieces(source, encoding, scan.runs), scan.runs, piece_key):
        data = encoding.original(b"".join(piece.data for piece in found))
        lines = tuple((piece.line, piece.line + line_breaks(piece.data)) for piece in found)
        key = keys.next(lines[0][0])
        origin = Origin(XML, source.name, encoding.charset, lines=lines, key=key, root=scan.root)
        extent = Extent(data, found[0].byte_start, found[-1].byte_end)
        yield _record(layout, [parse(piece) for piece in found], origin, extent)


class _FallbackKeys:
    """Keys for records without one: `<file>#<line>`, and `<file>#<line>.2` for the second that begins in a line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = self._count = 0

    def next(self, line: int) -> str:
        """The key of the next record."""
        self._count = self._count + 1 if line == self._line else 1
        self._line = line
        return f"{self._name}#{line}" + (f".{self._count}" if self._count > 1 else "")


def _record(layout: Layout, nodes: list[Node], origin: Origin, extent: Extent) -> SourceRecord:
    """The record of one element, or of several with the same id."""
    if not nodes:
        raise UnreadableFile(
            f"{origin.where}: the payload has no <{_record_element(layout)}>, as the layout now calls a record.",
            fix_hint=CORRECT_THE_LAYOUT,
        )
    for node, (first, _) in zip(nodes, _starts(nodes, origin.lines), strict=True):
        _move(node, first - node.line)
    return assemble(layout, _raw(layout, nodes, origin.root), origin, extent)


def _starts(nodes: list[Node], lines: tuple[LineRange, ...]) -> list[LineRange]:
    return list(lines) if len(lines) == len(nodes) else [(node.line, node.line) for node in nodes]


def _move(node: Node, lines: int) -> None:
    """From lines of the payload to lines of the file."""
    node.line += lines
    for child in node.children:
        _move(child, lines)


def _raw(layout: Layout, nodes: list[Node], root: Mapping[str, str]) -> RawRecord:
    """The texts of a record's elements."""
    settings = layout.settings.xml
    raw = RawRecord([], [])
    for node in nodes:
        header = _header_texts(layout, node, raw)
        for attribute, column in settings.root_attributes.items():
            if column in layout.kind.header and attribute in root and not header.get(column, "").strip(BLANKS):
                header[column] = root[attribute]
        _add_approvals(layout, node, header)
        raw.headers.append(Texts(node.line, header))
        raw.lines.extend(_line_texts(layout, node, raw))
    return raw


def _header_texts(layout: Layout, node: Node, raw: RawRecord) -> dict[str, str]:
    """Header values: attributes and children of the record and of its header element."""
    settings = layout.settings.xml
    found: dict[str, str] = {}
    identity = node.attributes.get(settings.id_attribute.casefold())
    for place in (node, *node.named(settings.header)):
        texts = list(place.texts())
        if place is node and identity is not None:
            texts.append((layout.names[layout.key[0]][0].strip(BLANKS).casefold(), identity))
        _collect(layout, texts, layout.kind.header, found, raw, place.line)
    return found


def _collect(
    layout: Layout,
    texts: list[tuple[str, str]],
    wanted: Mapping[str, object],
    found: dict[str, str],
    raw: RawRecord,
    line: int,
) -> None:
    """Adds texts by their columns; what is there twice must be the same."""
    for name, text in texts:
        column = layout.by_name.get(name)
        if column not in wanted or column is None:
            continue
        first = found.get(column, "")
        if not first.strip(BLANKS):
            found[column] = text
        elif text.strip(BLANKS) and text.strip(BLANKS) != first.strip(BLANKS):
            raw.problems.append((BAD_ROW, f"<{layout.shown(column)}> stands twice in the element of line {line}."))


def _line_texts(layout: Layout, node: Node, raw: RawRecord) -> Iterator[Texts]:
    """One per line element; a record without any may give the values of its only line itself."""
    settings = layout.settings.xml
    places = [line for around in (*node.named(settings.lines), node) for line in around.named(settings.line)]
    if not places:
        places = [node, *node.named(settings.header)]
        found: dict[str, str] = {}
        for place in places:
            _collect(layout, list(place.texts()), layout.kind.lines, found, raw, place.line)
        if found:
            yield Texts(node.line, found)
        return
    for place in places:
        found = {}
        _collect(layout, list(place.texts()), layout.kind.lines, found, raw, place.line)
        yield Texts(place.line, found)


def _add_approvals(layout: Layout, node: Node, header: dict[str, str]) -> None:
    """Who approved, and when, where the header does not say it."""
    if "approvers" not in layout.kind.header:
        return
    settings = layout.settings.xml
    approvals = [one for around in node.named(settings.approvals) for one in around.named(settings.approval)]
    who = [_first(dict(one.texts()), settings.approver) or one.text.strip(BLANKS) for one in approvals]
    when = [_first(dict(one.texts()), settings.approved_at) for one in approvals]
    if any(who) and not header.get("approvers", "").strip(BLANKS):
        header["approvers"] = ";".join(filter(None, who))
    if any(when) and not header.get("approved_at", "").strip(BLANKS):
        header["approved_at"] = max(when)


def _first(texts: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := texts.get(name.casefold(), "").strip(BLANKS))), "")
