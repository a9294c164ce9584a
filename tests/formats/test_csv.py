"""CSV by RFC 4180."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tieout.formats.csv import CsvDialect, content, end_lines, header_line, join, quote, read_batches


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("", ""),
        (None, ""),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ('"', '""""'),
        ("a\nb", '"a\nb"'),
        ("a\rb", '"a\rb"'),
        ("a\r\nb", '"a\r\nb"'),
        (" padded ", " padded "),
        ("=1+1", "=1+1"),
        ("日本,🎁", '"日本,🎁"'),
        ("a;b", "a;b"),
    ],
)
def test_quote(value: str | None, written: str) -> None:
    assert quote(pa.array(["x", value, "y"], pa.string())).to_pylist() == ["x", written, "y"]


def test_quote_with_another_delimiter() -> None:
    dialect = CsvDialect(delimiter="|")
    assert quote(pa.array(["a|b", "a,b"]), dialect).to_pylist() == ['"a|b"', "a,b"]


@pytest.mark.parametrize("arguments", [{"delimiter": ""}, {"delimiter": '"'}, {"delimiter": "ab"}, {"line_end": "\r"}])
def test_dialect_that_cannot_be_read_back_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CsvDialect(**arguments)  # type: ignore[arg-type]


def test_content_of_a_slice() -> None:
    rows = end_lines(join([pa.array(["a", "é", "c"]), pa.array(["1", "2", "3"])]))
    assert bytes(content(rows)) == "a,1\r\né,2\r\nc,3\r\n".encode()
    assert bytes(content(rows.slice(1, 1))) == "é,2\r\n".encode()
    assert bytes(content(rows.slice(0, 0))) == b""


def test_header_line() -> None:
    assert header_line(["a", 'b"', "c,d"]) == b'a,"b""","c,d"\r\n'
    assert header_line(["a"], CsvDialect(header=False)) == b""


def test_reading_back(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'"a,1",b\r\n0012,NA\r\n"x\r\ny",""\r\n')
    table = pa.Table.from_batches(list(read_batches(path)))
    # No value is taken for a number or for null.
    assert table.to_pylist() == [{"a,1": "0012", "b": "NA"}, {"a,1": "x\r\ny", "b": ""}]
    assert pa.Table.from_batches(list(read_batches(path, columns=["b"]))).column_names == ["b"]


def test_header_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\r\n")
    assert sum(batch.num_rows for batch in read_batches(path)) == 0


def test_rows_of_another_width_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\r\n1,2\r\n1,2,3\r\n")
    with pytest.raises(pa.ArrowInvalid):
        list(read_batches(path))
