"""Rows of bytes, with Python's csv module as judge."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tieout.systems.stampli.records import Limits, UnreadableFile
from tieout.systems.stampli.splitting import RowReader, is_blank, split_cells, split_rows

LAST = '\n"the","last"\n'


def python_rows(text: str, delimiter: str, *, strict: bool = False) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict))


def chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    parts, position = [], 0
    for size in sizes:
        parts.append(data[position : position + size])
        position += size
    return [*parts, data[position:]]


def line_breaks(data: bytes) -> int:
    """By Python's own idea of them: universal newlines."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline=None).read().count("\n")


texts = st.text(st.sampled_from('ab ",;\r\n"é'), max_size=60)


@settings(max_examples=500, deadline=None)
@given(texts, st.sampled_from(",;"), st.lists(st.integers(0, 7), max_size=8))
@example('"', ",", [])
@example('a"b"c,"d""e"f"g\n', ",", [1, 1])
@example("a\r", ",", [1])
@example("a\r\nb\rc", ",", [2])
@example('""""\n"\r\n"', ",", [1, 1, 1, 1])
def test_rows_and_cells_are_those_that_python_reads(text: str, delimiter: str, sizes: list[int]) -> None:
    data = text.encode()
    mark = delimiter.encode()
    closed = python_rows(text + LAST, delimiter)[-1:] == [["the", "last"]] if delimiter == "," else None
    reader = RowReader(chunks(data, sizes), "f.csv", Limits())
    try:
        rows = list(reader.rows(mark))
    except UnreadableFile:
        assert not closed
        return
    assert closed is not False
    assert b"".join(row.data for row in rows) == data
    assert [row.start for row in rows] == [sum(len(row.data) for row in rows[:n]) for n in range(len(rows))]
    assert [row.line for row in rows] == [1 + line_breaks(data[: row.start]) for row in rows]
    expected = [row for row in python_rows(text, delimiter) if row]
    cells = [split_cells(row.data.decode(), delimiter)[0] for row in rows]
    assert [row for row in cells if row != [""]] == [row for row in expected if row != [""]]


@settings(max_examples=300, deadline=None)
@given(texts)
def test_cells_are_right_exactly_when_python_is_strict_and_content(text: str) -> None:
    for row in RowReader([text.replace('"', '""').encode()], "f.csv", Limits()).rows(b","):
        value = row.data.decode()
        cells, right = split_cells(value, ",")
        try:
            strict = python_rows(value, ",", strict=True)
        except csv.Error:
            # Python also minds blanks behind a closing quote.
            assert not right or any(cell != cell.strip() for cell in cells)
        else:
            assert right
            assert strict in ([cells], [[]])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(texts, min_size=3, max_size=3), max_size=5), st.sampled_from(["\r\n", "\n", "\r"]))
def test_lines_and_wanted_cells(rows: list[list[str]], line_end: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    found = list(RowReader([text.getvalue().encode()], "f.csv", Limits()).rows(b",", [0, 2]))
    assert [split_cells(row.data.decode(), ",")[0] for row in found] == rows
    for row, values in zip(found, rows, strict=True):
        assert row.cells is not None
        assert [split_cells(cell.decode(), ",")[0][0] for cell in row.cells] == [values[0], values[2]]
        assert row.line == 1 + line_breaks(text.getvalue().encode()[: row.start])
    assert list(split_rows(text.getvalue().encode(), b",")) == [
        (row.line, row.data) for row in found if not is_blank(row.data, b",")
    ]


def test_a_row_that_is_too_short_has_no_cells() -> None:
    rows = list(RowReader([b"a,b,c\na,b\na,b,c,d\n"], "f", Limits()).rows(b",", [2]))
    assert [row.cells for row in rows] == [(b"c",), None, (b"c",)]


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b'a,b\nc,"d\ne\n', 2, "a quote is opened here and not closed"),
        (b'a,"b\nb","c\nd', 2, "a quote is opened here and not closed"),
        (b"a,b\nc,\0d\n", 2, "NUL byte"),
        (b'a\n"b\nc\0"', 3, "NUL byte"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_is_no_csv_is_refused_with_its_line(data: bytes, line: int, words: str, size: int) -> None:
    pieces = [data[n : n + size] for n in range(0, len(data), size)]
    with pytest.raises(UnreadableFile, match=words) as caught:
        list(RowReader(pieces, "f.csv", Limits()).rows(b","))
    assert caught.value.line == line
    assert f"f.csv, line {line}: " in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b'a,b\nc,"' + b"x" * 300,
        b"a,b\nc," + b"x" * 300,
        b'a,b\nc,"' + b"x" * 300 + b'",e\n',
        b"a,b\nc," + b"x" * 300 + b"\n",
    ],
)
@pytest.mark.parametrize("size", [10, 1000])
def test_a_value_without_end_is_refused_with_its_line(data: bytes, size: int) -> None:
    pieces = [data[n : n + size] for n in range(0, len(data), size)]
    with pytest.raises(UnreadableFile, match=r"f\.csv, line 2: a value that begins here is longer than 100 bytes"):
        list(RowReader(pieces, "f.csv", Limits(max_field_bytes=100)).rows(b","))


def test_an_unclosed_quote_is_noticed_long_before_the_end() -> None:
    read = 0

    def endless() -> object:
        nonlocal read
        yield b'a,b\n1,"'
        while True:
            read += 1
            yield b"x" * 1000

    with pytest.raises(UnreadableFile, match="line 2"):
        list(RowReader(endless(), "f.csv", Limits(max_field_bytes=10_000)).rows(b","))  # type: ignore[arg-type]
    assert read < 50


def test_many_long_values_in_a_row_are_fine() -> None:
    row = b",".join([b'"' + b"x" * 100 + b'"'] * 50) + b"\n"
    pieces = [row[n : n + 64] for n in range(0, len(row), 64)]
    assert [found.data for found in RowReader(pieces, "f", Limits(max_field_bytes=100)).rows(b",")] == [row]


def test_a_row_without_end_is_refused_with_its_line() -> None:
    pieces = [b"a,b\n", *[b"1," * 50] * 50]
    with pytest.raises(UnreadableFile, match=r"f\.csv, line 2: the row that begins here is longer than 1000 bytes"):
        list(RowReader(pieces, "f.csv", Limits(max_field_bytes=100, max_record_bytes=1000)).rows(b","))
