from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.builders import (
    DELIVERED_AT,
    begin,
    commit,
    held_draft,
    hold,
    outcome_of,
    prepare,
    prepared,
    send,
)
from tieout.errors import Superseded
from tieout.ledger import FileRow, Filters, Ledger, RunKey, Scope, packed, packing
from tieout.ledger.packing import CHUNK_RECORDS, PACKED_SCHEMA, gather, pack, unpack

KEY = RunKey("syspro_to_legacy_erp", "default", "gl_postings", "r1")
OCTOBER = "2026|10"

Batches = Iterable[tuple[str, pa.RecordBatch]]


def another(run_id: str, entity: str = "gl_postings") -> RunKey:
    return RunKey(KEY.integration, KEY.instance, entity, run_id)


def batch(keys: Sequence[str], *, version: str = "1", first: int = 0) -> pa.RecordBatch:
    starts = np.arange(first, first + len(keys)) * 105
    columns = {
        "source_key": pa.array(keys, pa.string()),
        "fingerprint": pa.array([f"{hash((key, version)) % 16**8:08x}" for key in keys], pa.string()),
        "label": pa.array([f"journal {key.split('|')[-2]}" for key in keys], pa.string()),
        "byte_start": pa.array(starts),
        "byte_end": pa.array(starts + 105),
    }
    return pa.record_batch(columns)


def october(*lines: int, journal: int = 7) -> list[str]:
    return [f"{OCTOBER}|{journal}|{line}" for line in lines]


def enter(ledger: Ledger, key: RunKey, batches: Batches, *, name: str = "GL.dat") -> FileRow:
    return ledger.prepare_packed_file(
        key,
        file_name=name,
        remote_path=f"/inbound/{name}",
        local_uri=f"file:///staging/{name}",
        bytes=1_050,
        sha256=f"digest of {name}",
        records=10,
        control_totals={"debit": "20.00"},
        packed=batches,
    )


def deliver(ledger: Ledger, key: RunKey, batches: Batches, *, name: str = "GL.dat") -> FileRow:
    prepared(ledger, key)
    file = enter(ledger, key, batches, name=name)
    send(ledger, file)
    commit(ledger, key, outcome_of(file))
    return file


def delivered_keys(ledger: Ledger, partition: str = OCTOBER, scope: Scope = KEY.scope) -> list[tuple[int, list[str]]]:
    return [(file, batch["source_key"].to_pylist()) for file, batch in ledger.packed_records(scope, partition)]


@pytest.fixture
def ready(ledger: Ledger) -> Ledger:
    prepared(ledger, KEY)
    return ledger


@pytest.mark.parametrize("state", ["preparing", "prepared", "sending", "verified", "refused", "abandoned"])
def test_only_delivered_files_count(ready: Ledger, state: str) -> None:
    def breaks() -> Iterator[tuple[str, pa.RecordBatch]]:
        for start in (0, CHUNK_RECORDS):
            yield OCTOBER, batch(october(*range(start, start + CHUNK_RECORDS)))
        raise OSError("staging is gone")

    if state == "preparing":
        with pytest.raises(OSError, match="staging is gone"):
            enter(ready, KEY, breaks())
        assert ready.trace(f"{OCTOBER}|7|1")["records"] == []
    else:
        file = enter(ready, KEY, [(OCTOBER, batch(october(1)))])
        for step in {"prepared": (), "verified": ("sending", "verified")}.get(state, (state,)):
            ready.file_states([file.id], step)
        (record,) = ready.trace(f"{OCTOBER}|7|1")["records"]
        assert record["delivered"] is None and record["files"][0]["status"] == state
    assert ready.packed_partitions(KEY.scope) == [] == delivered_keys(ready)


def test_what_was_delivered_newest_last(ledger: Ledger) -> None:
    late = "2026|9"
    first_batch, second_batch = batch(october(1, 2)), batch(october(2, 3), version="2")
    first = deliver(ledger, KEY, [(OCTOBER, first_batch), (late, batch([f"{late}|1|1"]))])
    second = deliver(ledger, another("r2"), [(OCTOBER, second_batch)], name="GL2.dat")
    assert list(ledger.packed_records(KEY.scope, OCTOBER)) == [(first.id, first_batch), (second.id, second_batch)]
    assert delivered_keys(ledger, late) == [(first.id, [f"{late}|1|1"])]
    assert ledger.packed_partitions(KEY.scope) == [OCTOBER, late]
    assert delivered_keys(ledger, "2026|11") == []
    for scope in (another("r", "invoices").scope, Scope(KEY.integration, "asia", KEY.entity)):
        assert ledger.packed_partitions(scope) == [] == delivered_keys(ledger, scope=scope)


def test_a_file_of_several_chunks(ledger: Ledger) -> None:
    keys = october(*range(CHUNK_RECORDS + 5_000))
    parts = [
        (OCTOBER, batch(keys[start : start + 30_000], first=start)) for start in range(0, CHUNK_RECORDS + 5_000, 30_000)
    ]
    deliver(ledger, KEY, iter(parts))
    found = [batch for _, batch in ledger.packed_records(KEY.scope, OCTOBER)]
    assert [each.num_rows for each in found] == [CHUNK_RECORDS, 5_000]
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches([each for _, each in parts]))


def test_a_file_without_records(ledger: Ledger) -> None:
    deliver(ledger, KEY, [(OCTOBER, batch([]))])
    assert ledger.packed_partitions(KEY.scope) == []


def test_preparing_again_replaces_what_was_never_sent(ready: Ledger) -> None:
    enter(ready, KEY, [(OCTOBER, batch(october(1, 2)))])
    new = enter(ready, KEY, [(OCTOBER, batch(october(2, 3)))])
    assert [file.id for file in ready.files_of_run(KEY)] == [new.id]
    assert ready.trace(f"{OCTOBER}|7|1")["records"] == []
    with ready._reading() as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT file_id FROM packed_records").scalars().all() == [new.id]


def test_a_run_begun_again_takes_its_unfinished_file_away(ready: Ledger) -> None:
    def begun_again_meanwhile() -> Iterator[tuple[str, pa.RecordBatch]]:
        yield OCTOBER, batch(october(*range(CHUNK_RECORDS)))
        begin(ready, KEY)
        yield OCTOBER, batch(october(-1))

    with pytest.raises(Superseded, match="begun again"):
        enter(ready, KEY, begun_again_meanwhile())
    assert ready.files_of_run(KEY) == []
    with ready._reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM packed_records").scalar_one() == 0


def test_a_dry_run_prepares_nothing(ledger: Ledger) -> None:
    prepared(ledger, KEY, dry_run=True)
    with pytest.raises(ValueError, match="dry run"):
        enter(ledger, KEY, [])


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([(OCTOBER, batch(october(7, 8, 7)))], id="in one batch"),
        pytest.param([(OCTOBER, batch(october(7))), ("2026|9", batch(october(7)))], id="in two partitions"),
        pytest.param([(OCTOBER, batch(october(*range(CHUNK_RECORDS), 7)))], id="in two chunks"),
    ],
)
def test_a_record_twice_in_a_file(ready: Ledger, batches: list[tuple[str, pa.RecordBatch]]) -> None:
    with pytest.raises(ValueError, match=r"'2026\|10\|7\|7' is in file GL\.dat twice"):
        enter(ready, KEY, batches)
    assert ready.files_of_run(KEY) == []


def test_two_keys_of_one_hash_are_two_keys(ready: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "hashes", lambda keys: np.zeros(len(keys), np.int64))
    enter(ready, KEY, [(OCTOBER, batch(october(1, 2, 3)))])
    with pytest.raises(ValueError, match="twice"):
        enter(ready, KEY, [(OCTOBER, batch(october(1, 2, 1)))])


GOOD = batch(october(1, 2))
BAD: dict[str, tuple[pa.RecordBatch, str]] = {
    "no label": (GOOD.drop_columns(["label"]), "lacks the column label"),
    "no key in a record": (GOOD.set_column(0, "source_key", pa.array(["x", None])), "a record without source_key"),
    "offsets as text": (GOOD.set_column(3, "byte_start", pa.array(["a", "b"])), "a column of another kind"),
}


@pytest.mark.parametrize("case", BAD)
def test_batches_that_cannot_be_entered(ready: Ledger, case: str) -> None:
    bad, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence):
        enter(ready, KEY, [(OCTOBER, bad)])
    assert ready.files_of_run(KEY) == []


def test_columns_of_a_related_kind_in_any_order(ledger: Ledger) -> None:
    columns = {name: GOOD[name] for name in reversed(PACKED_SCHEMA.names)}
    columns["source_key"] = columns["source_key"].cast(pa.large_string())
    columns["label"] = columns["label"].dictionary_encode()
    columns["byte_end"] = columns["byte_end"].cast(pa.int32())
    deliver(ledger, KEY, [(OCTOBER, pa.record_batch(columns | {"more": GOOD["label"]}))])
    assert [batch for _, batch in ledger.packed_records(KEY.scope, OCTOBER)] == [GOOD]


class TestSettling:
    def test_a_commit_settles_held_records(self, ledger: Ledger) -> None:
        keys = october(1, 2, 3)
        hold(ledger, another("earlier"), *(held_draft(key) for key in (*keys[:2], f"{OCTOBER}|8|1")))
        deliver(ledger, KEY, [(OCTOBER, batch(keys))])
        assert ledger.open_held_keys(KEY.scope) == [f"{OCTOBER}|8|1"]
        settled = [row for row in ledger.held(Filters()) if row.status == "settled"]
        assert {row.source_key for row in settled} == set(keys[:2])
        assert {(row.closed_by, row.closed_why) for row in settled} == {(KEY.run_id, "delivered")}

    def test_a_file_found_at_the_receiver(self, ready: Ledger) -> None:
        hold(ready, another("earlier"), held_draft(october(2)[0]))
        file = enter(ready, KEY, [(OCTOBER, batch(october(1, 2)))])
        manifest = prepare(ready, KEY, name="GL.dat.manifest.json")
        send(ready, file, manifest)
        for each in (manifest, file):
            ready.settle_delivered(each.id, verification="size", how="found")
        run = ready.get_run(KEY)
        assert run is not None and (run.delivered, run.target_totals) == (2, run.to_send_totals)
        assert ready.open_held_keys(KEY.scope) == []
        assert delivered_keys(ready) == [(file.id, october(1, 2))]

    def test_each_record_counts_once(self, ready: Ledger) -> None:
        """A run that sends a period again under new numbers, its first file having arrived all the same."""
        files = [
            enter(ready, KEY, [(OCTOBER, batch(october(1, 2, 3))), ("2026|9", batch(["2026|9|1|1"]))], name="GL1.dat"),
            enter(ready, KEY, [(OCTOBER, batch(october(2, 3, 4)))], name="GL2.dat"),
            prepare(ready, KEY, "row 1", "row 2", name="rows.csv"),
        ]
        send(ready, *files)
        counts = []
        for file in files:
            ready.settle_delivered(file.id, verification="size", how="found")
            run = ready.get_run(KEY)
            assert run is not None
            counts.append(run.delivered)
        assert counts == [4, 5, 7]


class TestTrace:
    def test_by_key_and_label(self, ledger: Ledger) -> None:
        sent = batch(october(1, 2))
        file = deliver(ledger, KEY, [(OCTOBER, sent)])
        deliver(ledger, another("r1", "other"), [("all", batch(["x|99|2"]))])
        for name in (f"{OCTOBER}|7|2", "x|99|2", "journal 99"):
            (record,) = json.loads(json.dumps(ledger.trace(name)))["records"]
            assert record["entity"] == ("gl_postings" if name.startswith("2026") else "other")
        (record,) = ledger.trace(f"{OCTOBER}|7|2")["records"]
        (place,) = record["files"]
        assert (place["file_name"], place["file_id"], place["status"]) == ("GL.dat", file.id, "delivered")
        assert (place["byte_start"], place["byte_end"], place["label"]) == (105, 210, "journal 7")
        assert record["delivered"] == {
            "fingerprint": sent["fingerprint"][1].as_py(),
            "label": "journal 7",
            "file_id": file.id,
            "run_id": "r1",
            "delivered_at": DELIVERED_AT.isoformat().replace("+00:00", "Z"),
        }
        assert [run["run_id"] for run in record["runs"]] == ["r1"]

    def test_every_file_it_was_in(self, ledger: Ledger) -> None:
        deliver(ledger, KEY, [(OCTOBER, batch(october(1)))])
        second = deliver(ledger, another("r2"), [(OCTOBER, batch(october(1), version="2"))], name="GL2.dat")
        prepared(ledger, another("r3"))
        enter(ledger, another("r3"), [(OCTOBER, batch(october(1), version="3"))], name="GL3.dat")
        (record,) = ledger.trace(f"{OCTOBER}|7|1")["records"]
        assert [place["file_name"] for place in record["files"]] == ["GL.dat", "GL2.dat", "GL3.dat"]
        assert record["delivered"]["file_id"] == second.id
        assert [run["run_id"] for run in record["runs"]] == ["r1", "r2", "r3"]

    def test_a_label_of_many(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packed, "MOST_LINES", 3)
        deliver(ledger, KEY, [(OCTOBER, batch(october(*range(5)))), ("2026|9", batch(["2026|9|7|1"]))])
        found = ledger.trace("journal 7")
        assert [record["source_key"] for record in found["records"]] == october(0, 1, 2)
        assert found["lines_left_out"] == 3

    def test_what_was_held_before(self, ledger: Ledger) -> None:
        hold(ledger, another("earlier"), held_draft(october(1)[0]))
        (held,) = ledger.held(Filters())
        assert ledger.trace(str(held.id))["records"][0]["files"] == []
        deliver(ledger, KEY, [(OCTOBER, batch(october(1)))])
        for name in (str(held.id), held.label, held.source_key):
            (record,) = ledger.trace(name)["records"]
            assert [row["status"] for row in record["held"]] == ["settled"]
            assert [place["file_name"] for place in record["files"]] == ["GL.dat"]

    @pytest.mark.parametrize("key", ["", "nothing", f"{OCTOBER}|7|99", OCTOBER])
    def test_nothing_known(self, ledger: Ledger, key: str) -> None:
        deliver(ledger, KEY, [(OCTOBER, batch(october(1)))])
        assert ledger.trace(key) == {"key": key, "records": [], "files": []}


DIGESTS = st.one_of(
    st.sampled_from(["hex", "odd", "capitals", "blank", "none"]).flatmap(
        lambda kind: st.lists(
            {
                "hex": st.text("0123456789abcdef", min_size=8, max_size=8),
                "odd": st.text("0123456789abcdef", min_size=3, max_size=3),
                "capitals": st.text("0123456789abcdefABCDEF", min_size=4, max_size=4),
                "blank": st.text("01ab ", min_size=4, max_size=4),
                "none": st.just(""),
            }[kind],
            min_size=1,
            max_size=8,
        )
    ),
    st.lists(st.text(), min_size=1, max_size=8),
)


@given(DIGESTS, st.data())
def test_whatever_is_packed_comes_out_again(fingerprints: list[str], data: st.DataObject) -> None:
    size = len(fingerprints)
    offsets = st.integers(-(2**31), 2**62)
    starts = data.draw(st.lists(offsets, min_size=size, max_size=size))
    lengths = data.draw(st.lists(st.integers(0, 2**40), min_size=size, max_size=size))
    texts = st.lists(st.text(), min_size=size, max_size=size)
    rows = pa.table(
        {
            "source_key": data.draw(texts),
            "fingerprint": fingerprints,
            "label": data.draw(texts),
            "byte_start": starts,
            "byte_end": [start + length for start, length in zip(starts, lengths, strict=True)],
        },
        schema=PACKED_SCHEMA,
    )
    packed = pack(rows)
    assert packed.records == size
    assert unpack(packed).to_pylist() == rows.to_pylist()


def test_hexadecimal_digests_take_half_their_characters() -> None:
    digests = [f"{number * 2654435761 % 2**64:016x}" * 4 for number in range(1_000)]
    rows = pa.table({name: (digests if name == "fingerprint" else GOOD[name].take([0] * 1_000)) for name in
                     PACKED_SCHEMA.names}, schema=PACKED_SCHEMA)  # fmt: skip
    stored = pa.parquet.read_table(pa.BufferReader(pack(rows).fingerprints))["fingerprint"]
    assert stored.type == pa.binary(32)


@pytest.mark.parametrize("sizes", [[1] * 25, [25], [10, 15], [3, 0, 9, 1, 12]], ids=str)
def test_batches_of_any_size_become_chunks(monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    monkeypatch.setattr(packing, "CHUNK_RECORDS", 10)
    keys = iter(october(*range(25)))
    batches = [(OCTOBER, batch([next(keys) for _ in range(size)])) for size in sizes]
    found = list(gather(batches))
    assert [chunk.num_rows for _, chunk in found] == [10, 10, 5]
    assert [key for _, chunk in found for key in chunk["source_key"].to_pylist()] == october(*range(25))


def test_many_partitions_at_once_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "CHUNK_RECORDS", 10)
    monkeypatch.setattr(packing, "_MOST_GATHERED", 20)
    taken = 0

    def batches() -> Iterator[tuple[str, pa.RecordBatch]]:
        nonlocal taken
        for line in range(6):
            for period in range(20):
                taken += 1
                yield f"2026|{period}", batch([f"2026|{period}|1|{line}"])

    given_out = 0
    found: dict[str, list[str]] = {}
    for partition, chunk in gather(batches()):
        assert taken - given_out <= 20
        given_out += chunk.num_rows
        found.setdefault(partition, []).extend(chunk["source_key"].to_pylist())
    assert found == {f"2026|{p}": [f"2026|{p}|1|{line}" for line in range(6)] for p in range(20)}


def test_who_only_lists_does_not_wait_for_arrow() -> None:
    code = "import sys, tieout.ledger; print({'pyarrow', 'numpy'} & set(sys.modules))"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("set()", 0)
