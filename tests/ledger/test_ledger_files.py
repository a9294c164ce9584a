from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from tests.ledger.builders import (
    DELIVERED_AT,
    begin,
    commit,
    deliver,
    file_records,
    held_draft,
    hold,
    outcome_of,
    prepare,
    prepared,
    run_key,
    send,
)
from tieout.errors import Superseded
from tieout.ledger import FileDraft, FileRecord, FileRow, Filters, Ledger, Scope

KEY = run_key()
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


def deliver_file(ledger: Ledger, file: FileRow) -> None:
    send(ledger, file)
    commit(ledger, KEY, outcome_of(file))


PATHS: dict[str, Callable[[Ledger, FileRow], None]] = {
    "prepared": lambda ledger, file: None,
    "sending": lambda ledger, file: ledger.file_states([file.id], "sending"),
    "verified": lambda ledger, file: send(ledger, file),
    "refused": lambda ledger, file: ledger.file_states([file.id], "refused", message="read-only"),
    "abandoned": lambda ledger, file: ledger.file_states([file.id], "abandoned"),
    "delivered": lambda ledger, file: deliver_file(ledger, file),
}
LEGAL = {
    "prepared": {"sending", "refused", "abandoned"},
    "sending": {"sending", "verified", "refused", "abandoned", "prepared"},
    "verified": {"verified", "refused", "abandoned", "prepared"},
    "refused": {"sending", "prepared", "abandoned"},
    "abandoned": set(),
    "delivered": set(),
}


@pytest.fixture
def ready(ledger: Ledger) -> Ledger:
    prepared(ledger, KEY)
    return ledger


@pytest.mark.parametrize("state", ["prepared", "sending", "verified", "refused", "abandoned", "delivered", "preparing"])
@pytest.mark.parametrize("before", PATHS)
def test_what_may_follow_what(ready: Ledger, before: str, state: str) -> None:
    file = prepare(ready, KEY, "1")
    PATHS[before](ready, file)
    if state in LEGAL[before]:
        ready.file_states([file.id], state)
        assert ready.files_of_run(KEY)[0].state == state
    else:
        with pytest.raises(ValueError, match="cannot b"):
            ready.file_states([file.id], state)
        assert ready.files_of_run(KEY)[0].state == before


def test_states_move_together_or_not_at_all(ready: Ledger) -> None:
    first, second = prepare(ready, KEY, "1", name="a.csv"), prepare(ready, KEY, "2", name="b.csv")
    ready.file_states([second.id], "abandoned")
    with pytest.raises(ValueError, match=r"b\.csv\) is abandoned"):
        ready.file_states([first.id, second.id], "sending")
    assert [file.state for file in ready.files_of_run(KEY)] == ["prepared", "abandoned"]
    with pytest.raises(ValueError, match="no file 999"):
        ready.file_states([first.id, 999], "sending")
    assert ready.files_of_run(KEY)[0].state == "prepared"


def test_what_is_known_of_a_file_on_its_way(ready: Ledger) -> None:
    first, second = prepare(ready, KEY, "1", name="a.csv"), prepare(ready, KEY, "2", name="b.csv")
    ready.file_states([first.id, second.id], "sending", temp_path_by_id={first.id: "/in/.a.csv.part"})
    ready.file_states([first.id, second.id], "verified", verification={first.id: "read_back", second.id: "size"})
    one, two = ready.files_of_run(KEY)
    assert (one.temp_path, one.verification) == ("/in/.a.csv.part", "read_back")
    assert (two.temp_path, two.verification) == (None, "size")
    ready.file_states([first.id], "refused", message="The folder is read-only.")
    assert ready.files_of_run(KEY)[0].message == "The folder is read-only."
    whats = [event.what for event in ready.events_of_run(KEY) if event.file_id == first.id]
    assert whats == ["file prepared", "file sending", "file verified", "file refused"]


def test_only_rungs_of_the_ladder(ready: Ledger) -> None:
    file = prepare(ready, KEY, "1")
    ready.file_states([file.id], "sending")
    with pytest.raises(ValueError, match="no rung"):
        ready.file_states([file.id], "verified", verification="looked fine")


def test_a_stale_token_moves_no_file(ready: Ledger) -> None:
    file = prepare(ready, KEY, "1")
    with ready.acquire(KEY.scope, "old") as lease:
        stale = lease.token
    with ready.acquire(KEY.scope, "new") as lease:
        with pytest.raises(Superseded, match="new has it now"):
            ready.file_states([file.id], "sending", token=stale)
        ready.file_states([file.id], "sending", token=lease.token)


def test_preparing_again_replaces_what_was_never_sent(ready: Ledger) -> None:
    old = prepare(ready, KEY, "1", "2")
    new = prepare(ready, KEY, "2", "3", version="2")
    assert [(file.id, file.sha256) for file in ready.files_of_run(KEY)] == [(new.id, new.sha256)]
    assert new.id > old.id
    send(ready, new)
    commit(ready, KEY, outcome_of(new))
    assert set(ready.fingerprints(KEY.scope, ["1", "2", "3"])) == {"2", "3"}


def test_preparing_again_leaves_alone_what_may_have_been_sent(ready: Ledger) -> None:
    old = prepare(ready, KEY, "1")
    ready.file_states([old.id], "sending")
    new = prepare(ready, KEY, "1")
    assert [(file.id, file.state) for file in ready.files_of_run(KEY)] == [(old.id, "sending"), (new.id, "prepared")]


def test_other_names_and_runs_are_left_alone(ready: Ledger) -> None:
    other = run_key("other")
    prepared(ready, other)
    theirs = prepare(ready, other, "1")
    mine = prepare(ready, KEY, "1", name="a.csv")
    prepare(ready, KEY, "1", name="b.csv")
    assert ready.files_of_run(other)[0].id == theirs.id
    assert ready.files_of_run(KEY)[0].id == mine.id


def test_a_record_twice_in_a_file(ready: Ledger) -> None:
    with pytest.raises(ValueError, match=r"'7' is in file invoices\.csv twice"):
        prepare(ready, KEY, "7", "8", "7")
    assert ready.files_of_run(KEY) == []


def test_a_record_twice_far_apart_in_a_file(ready: Ledger) -> None:
    keys = [str(number) for number in range(5_001)]
    with pytest.raises(ValueError, match=r"is in file invoices\.csv twice"):
        prepare(ready, KEY, *keys, "0")
    assert ready.files_of_run(KEY) == []


def test_half_a_file_is_invisible_and_replaced(ready: Ledger) -> None:
    def breaks() -> Iterator[FileRecord]:
        yield from file_records(*(str(number) for number in range(6_000)))
        raise OSError("staging is gone")

    with pytest.raises(OSError, match="staging is gone"):
        prepare(ready, KEY, "1", records_iter=breaks())
    assert ready.files_of_run(KEY) == [] and ready.count_files(Filters()) == 0
    assert ready.trace("5")["records"] == []
    whole = prepare(ready, KEY, "1")
    assert [file.id for file in ready.files_of_run(KEY)] == [whole.id]
    assert ready.trace("5")["records"] == []


def test_a_run_begun_again_stops_the_attempt_that_still_writes(ready: Ledger) -> None:
    def begun_again_meanwhile() -> Iterator[FileRecord]:
        yield from file_records(*(str(number) for number in range(5_000)))
        begin(ready, KEY)
        yield FileRecord("last", "f", "", 0, 1)

    with pytest.raises(Superseded, match="begun again"):
        prepare(ready, KEY, "1", records_iter=begun_again_meanwhile())
    assert ready.files_of_run(KEY) == []


def test_no_float_in_control_totals(ready: Ledger) -> None:
    with pytest.raises(TypeError, match="cannot keep a float"):
        ready.prepare_files(KEY, [FileDraft("a", "/a", "x", 1, "d", 1, {"debit": 0.1})])
    assert ready.files_of_run(KEY) == []


def test_many_small_files_keep_their_order(ready: Ledger) -> None:
    drafts = [
        FileDraft(
            f"{number}.pdf",
            f"/in/{number}.pdf",
            f"x{number}",
            number,
            f"d{number}",
            1,
            file_records=tuple(file_records(str(number))),
        )
        for number in range(1_000)
    ]
    rows = ready.prepare_files(KEY, drafts)
    assert [row.file_name for row in rows] == [draft.file_name for draft in drafts]
    assert [row.id for row in ready.files_of_run(KEY)] == [row.id for row in rows]
    send(ready, *rows)
    commit(ready, KEY, outcome_of(*rows))
    keys = [str(number) for number in range(1_001)]
    assert ready.fingerprints(KEY.scope, keys) == {key: f"fingerprint {key} v1" for key in keys[:-1]}
    assert ready.labels(KEY.scope, ["999", "1000"]) == {"999": "INV-999"}
    again = ready.prepare_files(KEY, drafts[:2])
    assert len(ready.files_of_run(KEY)) == 1_002 and [row.file_name for row in again] == ["0.pdf", "1.pdf"]


def test_two_files_of_one_name_in_one_go(ready: Ledger) -> None:
    draft = FileDraft("a.pdf", "/in/a.pdf", "x", 1, "d", 1)
    with pytest.raises(ValueError, match=r"same name: a\.pdf"):
        ready.prepare_files(KEY, [draft, draft])


def test_unsettled_files_are_those_that_may_have_arrived(ready: Ledger) -> None:
    files = {state: prepare(ready, KEY, "1", name=f"{state}.csv") for state in PATHS}
    for state, file in files.items():
        if state != "delivered":
            PATHS[state](ready, file)
    unknown = [files["sending"].id, files["verified"].id]
    assert [file.id for file in ready.unsettled_files(KEY.scope)] == unknown
    assert [file.id for file in ready.unsettled_files(KEY.scope, not_run_id="another")] == unknown
    assert ready.unsettled_files(KEY.scope, not_run_id=KEY.run_id) == []
    assert ready.unsettled_files(Scope("sap_b1_to_peakflo", "default", "payments")) == []


def test_a_file_found_at_the_receiver_is_committed(ready: Ledger) -> None:
    hold(ready, run_key("earlier"), held_draft("1"))
    file = prepare(ready, KEY, "1", "2")
    send(ready, file)
    assert ready.settle_delivered(file.id, verification="read_back", how="found under its final name") == 2
    (row,) = ready.files_of_run(KEY)
    assert (row.state, row.verification) == ("delivered", "read_back") and row.delivered_at is not None
    assert ready.fingerprints(KEY.scope, ["1", "2"]) == {"1": "fingerprint 1 v1", "2": "fingerprint 2 v1"}
    assert ready.entity_version(KEY.scope) == 2
    assert ready.open_held_keys(KEY.scope) == []
    run = ready.get_run(KEY)
    assert run is not None and (run.delivered, run.target_totals) == (2, {"EUR": Decimal("20.00")})
    assert ready.settle_delivered(file.id, verification="read_back", how="again") == 2
    how = [event.detail for event in ready.events_of_run(KEY) if event.what == "file delivered"]
    assert how == [{"how": "found under its final name"}]


def test_money_shows_once_all_that_was_to_be_sent_is_found(ready: Ledger) -> None:
    drafts = [
        FileDraft(f"{key}.pdf", f"/in/{key}.pdf", "x", 1, "d", 1, file_records=tuple(file_records(key)), kind="pdf")
        for key in ("1", "2")
    ]
    files = [*ready.prepare_files(KEY, drafts), prepare(ready, KEY, name="manifest.csv")]
    send(ready, *files)
    shown = []
    for file in files:
        ready.settle_delivered(file.id, verification="size", how="found")
        run = ready.get_run(KEY)
        assert run is not None
        shown.append((run.delivered, dict(run.target_totals)))
    assert shown == [(1, {}), (2, {"EUR": Decimal("20.00")}), (2, {"EUR": Decimal("20.00")})]


def test_the_finder_may_still_commit_its_run(ready: Ledger) -> None:
    file = prepare(ready, KEY, "1", "2")
    send(ready, file)
    version = ready.settle_delivered(file.id, verification="size", how="found")
    with ready.acquire(KEY.scope, "retry") as lease:
        ready.commit_entity(KEY, token=lease.token, base_version=version, outcome=outcome_of(file))
    (row,) = ready.files_of_run(KEY)
    assert (row.state, row.verification) == ("delivered", "size")
    assert ready.watermark(KEY.scope) == {"UpdateDate": "2026-03-31"}


def test_only_what_was_being_sent_can_be_found(ready: Ledger) -> None:
    file = prepare(ready, KEY, "1")
    with pytest.raises(ValueError, match="is prepared; it cannot become delivered"):
        ready.settle_delivered(file.id, verification="size", how="found")
    with pytest.raises(ValueError, match="no file 999"):
        ready.settle_delivered(999, verification="size", how="found")
    assert ready.fingerprints(KEY.scope, ["1"]) == {} and ready.entity_version(KEY.scope) == 0


def test_abandoning_what_was_never_sent(ready: Ledger) -> None:
    first, second = prepare(ready, KEY, "1", name="a.csv"), prepare(ready, KEY, "2", name="b.csv")
    ready.file_states([second.id], "sending")
    assert ready.abandon_prepared(KEY, "The quality gate is red.") == 1
    assert [(file.state, file.message) for file in ready.files_of_run(KEY)] == [
        ("abandoned", "The quality gate is red."),
        ("sending", ""),
    ]
    assert ready.get_file(first.id) == ready.files_of_run(KEY)[0]


def test_digests_that_are_ours_to_replace(ready: Ledger) -> None:
    first = deliver(ready, run_key("1"), "1", version="1")
    second = deliver(ready, run_key("2"), "1", version="2")
    prepare(ready, KEY, "1", version="3")
    assert ready.delivered_digests(KEY.scope, first.remote_path) == {first.sha256, second.sha256}
    assert ready.delivered_digests(KEY.scope, "/elsewhere") == set()
    assert ready.delivered_digests(Scope("other", "default", "invoices"), first.remote_path) == set()


def test_json_has_exactly_the_contracts_fields(ready: Ledger) -> None:
    deliver(ready, KEY, "1", "2")
    (row,) = ready.files(Filters())
    shown = row.as_json()
    assert list(shown) == CONTRACT
    assert shown["control_totals"] == {"EUR": "20.00", "lines": 2}
    assert (shown["status"], shown["verification"]) == ("delivered", "server_hash")
    assert shown["delivered_at"] == "2026-03-31T22:15:00Z" == DELIVERED_AT.isoformat().replace("+00:00", "Z")


def test_lists_are_filtered_and_newest_first(ready: Ledger) -> None:
    rows = [prepare(ready, KEY, "1", name=f"{number}.csv") for number in range(5)]
    ready.file_states([rows[0].id], "sending")
    assert [row.id for row in ready.files(Filters(), 2, 1)] == [rows[3].id, rows[2].id]
    assert [row.id for row in ready.files(Filters(status="sending"))] == [rows[0].id]
    assert ready.count_files(Filters(since=rows[2].created_at)) == 3
    assert ready.count_files(Filters(entity="payments")) == 0


def test_a_deleted_files_id_is_never_given_again(ready: Ledger) -> None:
    ids = [prepare(ready, KEY, "1").id for _ in range(3)]
    assert ids == sorted(set(ids))
