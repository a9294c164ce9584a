from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text

from tests.ledger.builders import (
    begin,
    commit_posted,
    file_records,
    post,
    posting_draft,
    posting_lease,
    posting_run,
    prepare,
    prepared,
)
from tieout.errors import Superseded
from tieout.ledger import FileRecord, FileRow, Filters, Ledger, RunKey
from tieout.ledger.models import file_records as records_table

KEY = posting_run()
INSTANCE = ("stampli_to_sap_b1", "default")
CONTRACT = [
    "integration",
    "instance",
    "entity",
    "run_id",
    "file_name",
    "remote_path",
    "bytes",
    "records",
    "sha256",
    "control_totals",
    "verification",
    "status",
    "delivered_at",
    "acknowledgement",
]


@pytest.fixture
def ready(ledger: Ledger) -> Ledger:
    begin(ledger, KEY)
    return ledger


def collect(
    ledger: Ledger,
    *keys: str,
    key: RunKey = KEY,
    name: str = "invoices_C1_20261121T0800Z.csv",
    sha256: str = "digest",
    version: str = "1",
    records_iter: Iterable[FileRecord] | None = None,
    source_mtime: int | None = 1_795_248_000,
) -> FileRow:
    return ledger.collect_file(
        key,
        file_name=name,
        remote_path=f"/outbound/{name}",
        local_uri=f"file:///staging/{key.run_id}/{name}",
        bytes=10 * len(keys),
        sha256=sha256,
        source_mtime=source_mtime,
        records=len(keys),
        control_totals={"EUR": Decimal("20.00")},
        records_iter=file_records(*keys, version=version) if records_iter is None else records_iter,
    )


def to(*states: str) -> Callable[[Ledger, FileRow], None]:
    def steps(ledger: Ledger, file: FileRow) -> None:
        for state in states:
            ledger.inbound_states([file.id], state)

    return steps


PATHS = {
    "collected": to(),
    "settled": to("settled"),
    "archived": to("settled", "archived"),
    "left": to("settled", "left"),
}
LEGAL = {
    "collected": {"collected", "settled"},
    "settled": {"settled", "archived", "left"},
    "archived": {"archived"},
    "left": {"left", "archived"},
}


def whats(ledger: Ledger, file: FileRow) -> list[str]:
    (story,) = [story for story in ledger.trace(file.file_name)["files"] if story["file_id"] == file.id]
    return [event["what"] for event in story["events"]]


def test_a_file_from_its_collection_to_the_archive(ready: Ledger) -> None:
    file = collect(ready, "1", "2")
    assert (file.kind, file.state, file.source_mtime, file.records) == ("inbound", "collected", 1_795_248_000, 2)
    assert (file.key, file.archive_path, file.verification) == (KEY, None, None)
    ready.inbound_states([file.id], "settled")
    ready.inbound_states([file.id], "archived", archive_path="/outbound/archive/2026/11/invoices.csv")
    (now,) = ready.files(Filters())
    assert (now.id, now.state, now.archive_path) == (file.id, "archived", "/outbound/archive/2026/11/invoices.csv")
    assert whats(ready, file) == ["file collected", "file settled", "file archived"]
    assert ready.inbound_open(*INSTANCE) == []
    assert list(now.as_json()) == CONTRACT and now.as_json()["status"] == "archived"


@pytest.mark.parametrize("before", PATHS)
def test_what_may_follow_what(ready: Ledger, before: str) -> None:
    for state in ("collected", "settled", "archived", "left", "delivered", "preparing"):
        file = collect(ready, "1", name=f"{state}.csv")
        PATHS[before](ready, file)
        if state in LEGAL[before]:
            ready.inbound_states([file.id], state)
            assert ready.get_file(file.id).state == state  # type: ignore[union-attr]
        else:
            with pytest.raises(ValueError, match=rf"{state}\.csv\) is {before}; it cannot become {state}"):
                ready.inbound_states([file.id], state)
            assert ready.get_file(file.id).state == before  # type: ignore[union-attr]


def test_the_same_state_again_changes_nothing(ready: Ledger) -> None:
    file = collect(ready, "1")
    ready.inbound_states([file.id], "settled")
    ready.inbound_states([file.id], "left", message="The account may not move it.")
    before = ready.get_file(file.id), whats(ready, file)
    ready.inbound_states([file.id], "left", message="Still not.")
    assert (ready.get_file(file.id), whats(ready, file)) == before
    assert before[0] is not None and before[0].message == "The account may not move it."


def test_states_move_together_or_not_at_all(ready: Ledger) -> None:
    one, two = collect(ready, "1", name="a.csv"), collect(ready, "2", name="b.csv")
    ready.inbound_states([two.id], "settled")
    for wrong in ([one.id, 999], [two.id, one.id]):
        with pytest.raises(ValueError, match="no file 999" if 999 in wrong else r"a\.csv\) is collected"):
            ready.inbound_states(wrong, "archived" if 999 not in wrong else "settled")
    assert [file.state for file in ready.inbound_open(*INSTANCE)] == ["collected", "settled"]


@pytest.mark.parametrize("by", ["a retry", "a later run", "the run begun again"])
def test_collected_again_is_the_same_file(ready: Ledger, by: str) -> None:
    first = collect(ready, "1", "2", "3")
    key = posting_run("scheduled__2") if by == "a later run" else KEY
    if by != "a retry":
        begin(ready, key)
    again = collect(ready, "3", "4", key=key, version="2", source_mtime=1_795_248_777)
    assert (again.id, again.created_at, again.run_id) == (first.id, first.created_at, key.run_id)
    assert (again.records, again.source_mtime) == (2, 1_795_248_777)
    assert again.local_uri == f"file:///staging/{key.run_id}/{first.file_name}"
    assert [file.id for file in ready.files(Filters())] == [first.id]
    assert ready.trace("1")["records"] == []
    (record,) = ready.trace("3")["records"]
    assert [(place["fingerprint"], place["byte_end"]) for place in record["files"]] == [("fingerprint 3 v2", 10)]
    assert whats(ready, first) == ["file collected", "file collected again"]


@pytest.mark.parametrize("other", ["path", "bytes", "instance", "settled"])
def test_another_file_is_another_row(ready: Ledger, other: str) -> None:
    first = collect(ready, "1")
    asia = posting_run(instance="asia")
    begin(ready, asia)
    if other == "settled":
        ready.inbound_states([first.id], "settled")
    second = collect(
        ready,
        "1",
        key=asia if other == "instance" else KEY,
        name="copy.csv" if other == "path" else first.file_name,
        sha256="another" if other == "bytes" else "digest",
    )
    assert second.id != first.id
    assert ready.get_file(first.id).records == 1  # type: ignore[union-attr]
    (places,) = [r["files"] for r in ready.trace("1")["records"] if r["instance"] == "default"]
    assert [place["file_id"] for place in places] == [first.id] + [second.id] * (other != "instance")


def test_seen_before_under_whatever_name(ready: Ledger) -> None:
    files = {state: collect(ready, "1", name=f"{state}.csv", sha256="same") for state in PATHS}
    for state, file in files.items():
        PATHS[state](ready, file)
    lone = collect(ready, "1", name="lone.csv", sha256="lone")
    ready.inbound_states([lone.id], "settled")
    found = ready.inbound_with_digest(*INSTANCE, ["same", "lone", "unknown"])
    seen = [files[state].id for state in ("left", "archived", "settled")]
    assert {sha256: [file.id for file in rows] for sha256, rows in found.items()} == {"same": seen, "lone": [lone.id]}
    assert ready.inbound_with_digest("stampli_to_sap_b1", "asia", ["same"]) == {}


def test_what_was_at_a_path(ready: Ledger) -> None:
    first = collect(ready, "1", sha256="one")
    ready.inbound_states([first.id], "settled")
    second = collect(ready, "1", sha256="two")
    path = first.remote_path
    found = ready.inbound_at(*INSTANCE, [path, "/outbound/unknown.csv"])
    assert {at: [file.id for file in rows] for at, rows in found.items()} == {path: [second.id, first.id]}
    assert ready.inbound_at("stampli_to_sap_b1", "asia", [path]) == {}


def test_what_is_open(ready: Ledger) -> None:
    vendors = posting_run(entity="vendors")
    begin(ready, vendors)
    files = [collect(ready, "1", name=f"{state}.csv") for state in PATHS]
    for state, file in zip(PATHS, files, strict=True):
        PATHS[state](ready, file)
    other = collect(ready, "V1", key=vendors, name="vendors.csv")
    assert [file.id for file in ready.inbound_open(*INSTANCE)] == [files[0].id, files[1].id, other.id]
    assert ready.inbound_open("stampli_to_sap_b1", "asia") == []


def test_half_a_file_is_invisible_and_replaced(ready: Ledger) -> None:
    def breaks() -> Iterator[FileRecord]:
        yield from file_records(*(str(number) for number in range(6_000)))
        raise OSError("staging is gone")

    with pytest.raises(OSError, match="staging is gone"):
        collect(ready, "1", records_iter=breaks())
    assert ready.inbound_open(*INSTANCE) == [] and ready.inbound_at(*INSTANCE, ["/outbound/" + NAME]) == {}
    assert ready.trace("5")["records"] == []
    whole = collect(ready, "1")
    assert [file.id for file in ready.files_of_run(KEY)] == [whole.id]
    with ready._reading() as connection:
        assert connection.execute(select(func.count()).select_from(records_table)).scalar_one() == 1


NAME = "invoices_C1_20261121T0800Z.csv"


def test_a_run_begun_again_stops_the_attempt_that_still_writes(ready: Ledger) -> None:
    def begun_again_meanwhile() -> Iterator[FileRecord]:
        yield from file_records("1", "2")
        begin(ready, KEY)

    with pytest.raises(Superseded, match="begun again"):
        collect(ready, "1", "2", records_iter=begun_again_meanwhile())
    assert ready.files_of_run(KEY) == []


def test_what_cannot_be_collected(ready: Ledger) -> None:
    preview = posting_run("preview")
    begin(ready, preview, dry_run=True)
    with pytest.raises(ValueError, match="dry run"):
        collect(ready, "1", key=preview)
    with pytest.raises(ValueError, match=r"'7' is in file invoices_.* twice"):
        collect(ready, "7", "8", "7")
    assert ready.files(Filters()) == []


def test_inbound_files_are_never_sent(ready: Ledger) -> None:
    file = collect(ready, "1")
    outbound = prepare(ready, KEY, "1")
    for state in ("sending", "verified", "refused", "abandoned", "prepared"):
        with pytest.raises(ValueError, match=f"is collected; it cannot become {state}"):
            ready.file_states([file.id], state)
    with pytest.raises(ValueError, match="is collected; it cannot become delivered"):
        ready.settle_delivered(file.id, verification="size", how="found")
    with pytest.raises(ValueError, match=r"invoices\.csv\) was not collected"):
        ready.inbound_states([outbound.id], "settled")


def test_inbound_files_do_not_disturb_those_that_are_sent(ready: Ledger) -> None:
    for state in PATHS:
        file = collect(ready, "1", name=f"{state}.csv")
        PATHS[state](ready, file)
        assert ready.delivered_digests(KEY.scope, file.remote_path) == set()
    before = ready.files(Filters())
    assert ready.unsettled_files(KEY.scope) == []
    assert ready.abandon_prepared(KEY, "no") == 0
    begin(ready, KEY)
    assert ready.files(Filters()) == before
    assert ready.fingerprints(KEY.scope, ["1"]) == {} and ready.not_in_a_manifest(KEY.scope) == set()
    assert [file.state for file in ready.files_of_run(KEY)] == list(PATHS)


def test_the_story_of_a_record_from_file_to_journal_entry(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    first = collect(ledger, "6", "7")
    with posting_lease(ledger) as lease:
        post(ledger, KEY, lease, posting_draft("7"), first_number=17)
        commit_posted(ledger, KEY, lease, settled=["7"])
    ledger.inbound_states([first.id], "settled")
    moved_to = "/outbound/archive/2026/11/invoices-1.csv"
    ledger.inbound_states([first.id], "archived", archive_path=moved_to)
    later = collect(ledger, "7", name="again.csv", sha256="another")
    for name in ("7", "INV-7", "17"):
        (record,) = json.loads(json.dumps(ledger.trace(name)))["records"]
        assert [(place["kind"], place["file_id"], place["status"]) for place in record["files"]] == [
            ("inbound", first.id, "archived"),
            ("inbound", later.id, "collected"),
        ]
        place = record["files"][0]
        assert (place["byte_start"], place["byte_end"], place["archive_path"]) == (10, 20, moved_to)
        assert [posting["target_key"] for posting in record["postings"]] == ["17"]
    for name in (first.file_name, first.remote_path, moved_to):
        (file,) = ledger.trace(name)["files"]
        assert (file["file_id"], file["kind"]) == (first.id, "inbound")


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        (
            "integration = 'i' AND instance = 'd' AND kind = 'inbound' AND state IN ('collected', 'settled')",
            "ix_files_inbound_open",
        ),
        ("sha256 = 'x' AND kind = 'inbound'", "ix_files_inbound_digest"),
        ("file_name = 'x' OR remote_path = 'x' OR archive_path = 'x'", "ix_files_archive_path"),
    ],
)
def test_look_ups_use_their_index(ledger: Ledger, condition: str, index: str) -> None:
    with ledger._reading() as connection:
        if ledger._is_postgres:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN" if ledger._is_postgres else "EXPLAIN QUERY PLAN"
        plan = connection.execute(text(f"{explain} SELECT local_uri FROM files WHERE {condition}"))
        assert index in str(plan.all())
