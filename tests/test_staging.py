"""Part files: complete or absent, unified where custom fields differ, on a disk and in an object store."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from upath import UPath

from tieout.staging import (
    Folder,
    PartWriter,
    conform,
    local_path,
    part_paths,
    read_parts,
    remove_parts,
    union_schema,
    write_bytes_atomically,
)

LINE = pa.struct([("LineNum", pa.int64())])
LINE_CUSTOM = pa.struct([("LineNum", pa.int64()), ("U_Lot", pa.string())])
MONEY = pa.decimal128(28, 6)


def table(keys: list[str], lines: Any = None, kind: pa.DataType = LINE, **custom: list[Any]) -> pa.Table:
    columns = {
        "_key": pa.array(keys, pa.string()),
        "_raw": pa.array([key.encode() for key in keys], pa.binary()),
        "DocTotal": pa.array([Decimal("1.5")] * len(keys), MONEY),
        "Lines": pa.array(lines or [[{"LineNum": 0}]] * len(keys), pa.list_(kind)),
    }
    return pa.table(columns | {name: pa.array(values, pa.string()) for name, values in custom.items()})


@pytest.fixture(params=["path", "upath-file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "path":
        return tmp_path
    if request.param == "upath-file":
        return UPath(f"file://{tmp_path}")
    place = UPath(f"memory://staging-{tmp_path.name}-{request.node.name}")
    place.mkdir(parents=True, exist_ok=True)
    return place


def test_what_is_written_is_read_in_order(folder: Folder) -> None:
    with PartWriter(folder, 1) as second:
        second.write(table(["c", "d"]))
    with PartWriter(folder, 0) as first:
        first.write(table(["a"]))
        first.write(table(["b"]))

    batches = list(read_parts(folder))

    assert [key for batch in batches for key in batch["_key"].to_pylist()] == ["a", "b", "c", "d"]
    assert batches[0]["_raw"].to_pylist() == [b"a", b"b"]
    assert [path.name for path in part_paths(folder)] == ["part-00000-00000.parquet", "part-00001-00000.parquet"]
    assert first.parts[0].records == 2


def test_custom_fields_that_only_some_parts_have(folder: Folder) -> None:
    with PartWriter(folder) as writer:
        writer.write(table(["a", "b"], [None, [{"LineNum": 1}, None]]))
        writer.write(table(["c"], [[{"LineNum": 2, "U_Lot": "L"}]], LINE_CUSTOM, U_X=["x"]))
        writer.write(table(["d"]))

    (first, second) = read_parts(folder, ["_key", "Lines", "U_X"])

    assert len(writer.parts) == 2
    assert first.to_pylist() == [
        {"_key": "a", "Lines": None, "U_X": None},
        {"_key": "b", "Lines": [{"LineNum": 1, "U_Lot": None}, None], "U_X": None},
    ]
    assert second.to_pylist() == [
        {"_key": "c", "Lines": [{"LineNum": 2, "U_Lot": "L"}], "U_X": "x"},
        {"_key": "d", "Lines": [{"LineNum": 0, "U_Lot": None}], "U_X": None},
    ]


def test_batches_are_bounded_and_slices_conform(tmp_path: Path) -> None:
    lines = [[{"LineNum": line} for line in range(row % 4)] if row % 5 else None for row in range(100)]
    with PartWriter(tmp_path) as writer:
        writer.write(table([str(row) for row in range(100)], lines))
    wanted = pa.schema([("_key", pa.string()), ("Lines", pa.list_(LINE_CUSTOM)), ("U_Z", pa.string())])

    batches = list(read_parts(tmp_path, batch_rows=7, schema=wanted))

    assert max(batch.num_rows for batch in batches) == 7
    staged = [record for batch in batches for record in batch.to_pylist()]
    expected = [None if group is None else [each | {"U_Lot": None} for each in group] for group in lines]
    assert [record["Lines"] for record in staged] == expected
    sliced = conform(table([str(row) for row in range(100)], lines).slice(13, 20), wanted)
    assert sliced["Lines"].to_pylist() == expected[13:33]


def test_columns_that_no_part_has(tmp_path: Path) -> None:
    with PartWriter(tmp_path) as writer:
        writer.write(table(["a"]))

    with pytest.raises(KeyError, match="U_Nowhere"):
        list(read_parts(tmp_path, ["U_Nowhere"]))
    (batch,) = read_parts(tmp_path, ["U_New"], schema=pa.schema([("U_New", pa.string())]))
    assert batch.to_pylist() == [{"U_New": None}]


def test_an_empty_folder_has_no_records(tmp_path: Path) -> None:
    assert list(read_parts(tmp_path / "nothing")) == []
    with PartWriter(tmp_path) as writer:
        writer.write(table([]))
    assert writer.parts == []


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="part-00000-00000"):
        list(read_parts(tmp_path, names=["part-00000-00000.parquet"]))


def test_one_name_with_two_types() -> None:
    with pytest.raises(TypeError, match="staged column A is int64 in one part and string"):
        union_schema([pa.schema([("A", pa.int64())]), pa.schema([("A", pa.string())])])


def test_a_failed_walk_leaves_no_unfinished_part(folder: Folder) -> None:
    with pytest.raises(ZeroDivisionError), PartWriter(folder) as writer:
        for _ in range(30):
            writer.write(table([str(row) for row in range(1000)]))
        raise ZeroDivisionError

    assert list(folder.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(folder: Folder) -> None:
    def breaks_off() -> Any:
        yield b"half"
        raise ZeroDivisionError

    assert write_bytes_atomically(folder / "whole.bin", [b"a", b"bc"]) == 3
    with pytest.raises(ZeroDivisionError):
        write_bytes_atomically(folder / "half.bin", breaks_off())
    with pytest.raises(ZeroDivisionError):
        write_bytes_atomically(folder / "whole.bin", breaks_off())

    assert [path.name for path in folder.iterdir()] == ["whole.bin"]
    with (folder / "whole.bin").open("rb") as file:
        assert file.read() == b"abc"


def test_a_killed_writer_leaves_no_part(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        import pyarrow as pa
        from tieout.staging import PartWriter
        writer = PartWriter(Path(sys.argv[1]))
        for _ in range(30):
            writer.write(pa.table({"_key": pa.array(["x"] * 1000)}))
        print("written", flush=True)
        sys.stdin.read()
    """
    plugins = str(Path(__file__).parents[1] / "plugins")
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": plugins, "PATH": ""},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()

    assert list(read_parts(tmp_path)) == []
    assert len(list(tmp_path.iterdir())) == 1
    remove_parts(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_local_paths(tmp_path: Path) -> None:
    assert local_path(tmp_path) == tmp_path
    assert local_path(UPath(f"file://{tmp_path}")) == tmp_path
    assert local_path(UPath("memory://x/y")) is None
