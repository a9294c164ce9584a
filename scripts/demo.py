"""`make demo`: every integration once against the sandbox, in real Airflow, and the proof that it ties out.

SAP Business One → Peakflo runs twice: the scheduler's first run takes everything, then some records change in SAP and a
second run must deliver exactly those. Stampli → SAP Business One posts a day's exports while replies get lost, holds an
invoice of a locked period, and posts it once the period is open. SYSPRO → legacy ERP sends the period that closed last,
then a late posting in a supplementary file, and the same documents to a partner that takes X12. Banqup → clients' SFTP
servers meets a server that is down: that run is red, for this client alone, and the next one delivers what waited.

The exit status is 0 only if every other run ties out, Peakflo took what was sent, SAP's journal has each entry once,
the legacy ERP comes to the figures of SYSPRO's books, and each of Banqup's clients has its documents byte for byte.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from airflow_services import ROOT, AirflowError, AirflowServices
from sandbox.banqup.receivers import received
from sandbox.banqup.scenario import Expected
from sandbox.sap_b1.scenario import second_day
from sandbox.stampli import CsvStyle, DropSizes, differences, export_file, text_record
from sandbox.stampli.truth import ExpectedEntry
from sandbox.world import Sandbox
from tieout.calendars import Period, load_calendar
from tieout.ledger import FileRow, Filters, HeldRow, Ledger, RunRow, totals_text

HOME = ROOT / ".airflow" / "demo"
STARTED = time.monotonic()
X12_PARTNER = """acknowledgements: {folder: /outbound/acks}
entities:
  gl_postings: {format: x12, prefix: GL, gl_set: "821"}
  invoices: {format: x12, prefix: INV}
  purchase_orders: {format: x12, prefix: PO}
  items: {format: x12, prefix: ITEM}
"""


class DemoFailed(Exception):
    """Something of what the demo shows does not hold; the message says what."""


def say(text: str) -> None:
    """A line of progress, with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", flush=True)


def main() -> int:
    """Run the demo; returns the process's exit status."""
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        say("Starting the sandbox: SAP Business One, SYSPRO, Banqup, Peakflo, Stampli, a legacy ERP, SFTP servers …")
        with Sandbox(size="demo", planted=True, folder=HOME / "sandbox") as sandbox:
            say("Starting Airflow: scheduler, DAG processor, triggerer, API server …")
            include = include_with_x12(HOME / "include")
            with AirflowServices(HOME, {**sandbox.env, "TIEOUT_INCLUDE": str(include)}) as airflow:
                airflow.wait_healthy()
                say(f"Airflow is up at {airflow.url}.")
                demonstrate(airflow, sandbox)
    except (AirflowError, DemoFailed) as error:
        print(f"\nThe demo failed: {error}\nLogs are in {HOME}.", file=sys.stderr)
        return 1
    say("Everything ties out; the one red run was red because a server was down, and said so.")
    return 0


def include_with_x12(folder: Path) -> Path:
    """The project's configuration, with one instance more: a partner that takes X12, and no CSV."""
    shutil.copytree(ROOT / "include", folder)
    default = folder / "integrations" / "syspro_to_legacy_erp" / "default.yaml"
    head, _, _ = default.read_text(encoding="utf-8").partition("entities:\n")
    default.with_name("x12.yaml").write_text(f"schedule: null\n{head}{X12_PARTNER}", encoding="utf-8")
    return folder


def demonstrate(airflow: AirflowServices, sandbox: Sandbox) -> None:
    """Every integration, each run with its proof."""
    sap_b1_to_peakflo(airflow, sandbox)
    stampli_to_sap_b1(airflow, sandbox)
    syspro_to_legacy_erp(airflow, sandbox)
    banqup_to_sftp(airflow, sandbox)


def sap_b1_to_peakflo(airflow: AirflowServices, sandbox: Sandbox) -> None:
    """Everything that SAP has, then exactly what changed."""
    dag_id = "sap_b1_to_peakflo"
    say(f"{dag_id}: unpaused, so the scheduler makes its first run: everything that SAP has …")
    airflow.wait_dag(dag_id)
    airflow.unpause(dag_id)
    first = finish(airflow, dag_id, airflow.first_run(dag_id))
    rows = show_run("First run, everything", first)
    show_files(first)
    show_held(dag_id)
    expect_peakflo(sandbox, rows)

    changed = second_day(sandbox.company)
    say("Some records change in SAP: " + ", ".join(f"{key} {value}" for key, value in describe(changed)))
    second = finish(airflow, dag_id, airflow.trigger(dag_id))
    rows = show_run("Second run, exactly what changed", second)
    show_files(second)
    expect_peakflo(sandbox, rows)


def stampli_to_sap_b1(airflow: AirflowServices, sandbox: Sandbox) -> None:
    """A day's exports become journal entries, also over a line that drops replies; then a locked period is opened."""
    dag_id = "stampli_to_sap_b1"
    scenario = sandbox.stampli.mixed_drop(sizes=DropSizes(invoices=120, files=5))
    late = scenario.exports.invoice(lines=3)
    period = f"{late.posting_date:%Y-%m}"
    sandbox.faults.add("lost_reply", every=40)
    say(f"{dag_id}: {len(scenario.files)} files of Stampli's wait; every 40th reply of SAP's gets lost on the way …")
    airflow.wait_dag(dag_id)
    airflow.unpause(dag_id)
    first = finish(airflow, dag_id, airflow.first_run(dag_id))
    show_run("First run, every file", first)
    show_held(dag_id)
    expect_journal(sandbox, scenario.entries)

    sandbox.company.lock_period(period)
    sandbox.stampli.drop.put("invoices_C1_late.csv", export_file("invoices", [text_record(late)], CsvStyle()))
    say(f"One more invoice comes, for {period}, which somebody has locked in SAP …")
    show_run("Second run, it is held", finish(airflow, dag_id, airflow.trigger(dag_id)))
    sandbox.company.unlock_period(period)
    say(f"{period} is opened again …")
    show_run("Third run, just that one", finish(airflow, dag_id, airflow.trigger(dag_id)))
    expect_journal(sandbox, {**scenario.entries, late.invoice_id: scenario.exports.entry(late)})


def syspro_to_legacy_erp(airflow: AirflowServices, sandbox: Sandbox) -> None:
    """The period closed last; a late posting, in a file of its own; the period before as X12, with its answers."""
    dag_id = "syspro_to_legacy_erp"
    period, before = closed_periods()
    say(f"{dag_id}: unpaused, so the scheduler makes its first run: {period.label}, the period that closed last …")
    airflow.wait_dag(dag_id)
    airflow.unpause(dag_id)
    first = finish(airflow, dag_id, airflow.first_run(dag_id))
    show_run("First run, the period's postings and all documents", first)
    show_files(first)
    expect_legacy_erp(sandbox, period)

    journal = sandbox.syspro.books.post_journal(
        period.year, period.number, [("4000-20-100", "1250.00"), ("1100-10-000", "-1250.00")]
    )
    say(f"Somebody posts journal {journal} into {period.label}, which has been sent …")
    second = finish(airflow, dag_id, airflow.trigger(dag_id))
    show_run("Second run, just the late journal, in a supplementary file", second)
    show_files(second)
    if [(file.entity, file.records) for file in data_files(second)] != [("gl_postings", 2)]:
        raise DemoFailed("the second run was to deliver one file, with the two postings of the late journal")
    expect_legacy_erp(sandbox, period)

    say(f"Another partner takes X12: {before.label} by an instance of its own, asked for by its period …")
    third = finish(airflow, f"{dag_id}__x12", airflow.trigger(f"{dag_id}__x12", {"period": before.label}))
    show_run("Third run, everything as X12", third)
    show_files(third)
    expect_legacy_erp(sandbox, before)
    reader = f"{dag_id}__x12_acknowledgements"
    finish(airflow, reader, airflow.trigger(reader))
    expect_accepted(third)


def banqup_to_sftp(airflow: AirflowServices, sandbox: Sandbox) -> None:
    """Each client has its documents although the server of one is down; what waited for that one goes once it is up."""
    dag_id, away = "banqup_to_sftp", "C1002"
    receivers = sandbox.banqup.receivers
    server = receivers[away].server
    server.down()
    say(f"{dag_id}: documents of {len(receivers)} clients wait in Banqup, and the server of {away} is down …")
    airflow.wait_dag(dag_id)
    airflow.unpause(dag_id)
    first = airflow.first_run(dag_id)
    expect_red_for(airflow, dag_id, first, away)
    title = f"First run, red as it must be: the documents of {away} wait, all others have theirs"
    show_run(title, rows_of(dag_id, first), red=(away,))
    expect_clients_served(sandbox, without=away)

    server.up()
    say(f"The server of {away} is back …")
    second = finish(airflow, dag_id, airflow.trigger(dag_id))
    show_run(f"Second run, what waited for {away}", second)
    expect_clients_served(sandbox)
    show_rules()


def expect_red_for(airflow: AirflowServices, dag_id: str, run_id: str, away: str) -> None:
    """See that a run is red by one client's delivery, and by the tie-out that says so.

    Raises:
        DemoFailed: It is not, or by something else.
    """
    state = airflow.wait_run(dag_id, run_id)["state"]
    failed = [task for task in airflow.tasks(dag_id, run_id) if task["state"] != "success"]
    names = sorted(f"{task['task_id']} {task['rendered_map_index'] or ''}".strip() for task in failed)
    if state != "failed" or len(names) != 2 or not names[0].startswith(f"deliver {away} ") or names[1] != "tie_out":
        raise DemoFailed(f"run {run_id} ended {state}; not successful: {names}; expected are those of {away} alone")
    say(f"Red in Airflow: {' and '.join(names)}.")


def expect_clients_served(sandbox: Sandbox, *, without: str = "") -> None:
    """See that each client has exactly its valid documents, and that the others are held for the rule they break.

    Args:
        sandbox: Knows what must be where.
        without: The client that must have nothing yet.

    Raises:
        DemoFailed: A client has too little, too much or something else.
    """
    held = held_documents()
    files = 0
    for client, documents in sandbox.banqup.truth().items():
        due = [] if client == without else documents
        wrong = [*wrong_files(sandbox, client, due), *wrongly_held(held.pop(client, []), due)]
        if wrong:
            raise DemoFailed(f"client {client}: {wrong[:3]}")
        files += sum(document.rule is None for document in due)
    say(
        f"{'All others have' if without else 'Every client has'} what is theirs and nothing else: {files} files, byte "
        "for byte, in the right folders, mode 664. The invalid ones are held, each for the rule that it breaks."
    )


def wrong_files(sandbox: Sandbox, external_id: str, due: Sequence[Expected]) -> list[str]:
    """What is wrong with the files at a client's."""
    client = sandbox.banqup.scenario.client(external_id)
    there = {file.document_id: file for file in received(sandbox.banqup.receivers[external_id])}
    wrong = []
    for document in due:
        if document.rule is not None:
            continue
        file = there.pop(document.document_id, None)
        if file is None:
            wrong.append(f"{document.number} ({document.document_id}) is missing")
            continue
        folder = client.folder_of(document.folder, int(file.name[:4]))
        ending = "cod" if document.kind == "statement" else "xml"
        if not re.fullmatch(rf"{re.escape(folder)}/\d{{8}}_[\w.-]+_{document.document_id}\.{ending}", file.path):
            wrong.append(f"{document.number} lies at {file.path}")
        if file.data != document.data:
            wrong.append(f"{file.path} has other bytes than Banqup")
        if file.mode != 0o664:
            wrong.append(f"{file.path} has mode {file.mode:o}")
    return wrong + [f"{file.path} does not belong there" for file in there.values()]


def wrongly_held(held: Sequence[HeldRow], due: Sequence[Expected]) -> list[str]:
    """What is wrong with the held documents of a client: one too many, one too few, another rule."""
    rows = {row.source_key: row for row in held}
    wrong = []
    for document in due:
        if document.rule is not None:
            row = rows.pop(document.document_id, None)
            if row is None or document.rule not in (row.reason_code, *re.findall(r"[\w-]+", row.message)):
                wrong.append(f"{document.number} breaks {document.rule}; held: {row and row.message}")
    return wrong + [f"{row.source_key} is held: {row.message}" for row in rows.values()]


def held_documents() -> dict[str, list[HeldRow]]:
    """Client → its held documents."""
    held: dict[str, list[HeldRow]] = {}
    with ledger() as book:
        for row in book.held(Filters("banqup_to_sftp", status="held")):
            held.setdefault(row.entity, []).append(row)
    return held


def show_rules() -> None:
    """Print for which rules documents are held, and two of them with what finance is told."""
    rows = [row for rows in held_documents().values() for row in rows]
    counts = Counter(row.reason_code for row in rows)
    print(f"  {number(len(rows), 'document')} held, by the first rule that each breaks:")
    print(indented(", ".join(f"{rule}\u00a0×{count}" for rule, count in sorted(counts.items()))))
    for row in sorted(rows, key=lambda row: len(row.message))[:2]:
        print(indented(f"{row.entity}: {row.message} {row.fix_hint}"))
    print(flush=True)


def closed_periods() -> tuple[Period, Period]:
    """The period that closed last, and the one before it."""
    calendar = load_calendar("calendar_months")
    close = calendar.last_close(datetime.now(UTC))
    assert close is not None
    before = calendar.before(close.period)
    assert before is not None
    return close.period, before


def expect_legacy_erp(sandbox: Sandbox, period: Period) -> None:
    """See that the legacy ERP finds nothing wrong, and comes to the figures of SYSPRO's books for a period.

    Raises:
        DemoFailed: It does not.
    """
    inbox = sandbox.legacy_erp.inbox
    loaded = inbox.load()
    if inbox.problems:
        raise DemoFailed(f"the legacy ERP finds {inbox.problems[:3]}")
    books = sandbox.syspro.books.control_totals(period.year, period.number)
    received = inbox.postings.totals(period.year, period.number)
    figures = {name: (books[name], getattr(received, name)) for name in ("lines", "debit", "credit")}
    if any(ours != theirs for ours, theirs in figures.values()) or not received.lines:
        raise DemoFailed(f"SYSPRO's books and the legacy ERP differ in {period.label}: {figures}")
    say(
        f"The legacy ERP took {number(len(loaded), 'file')} and finds nothing wrong. In {period.label} it has "
        f"{received.lines} postings, debit {received.debit}, credit {received.credit}, as SYSPRO's books."
    )


def expect_accepted(run: Filters) -> None:
    """See that the ledger knows each X12 file of a run as accepted by the partner.

    Raises:
        DemoFailed: It does not.
    """
    states = {file.file_name: file.acknowledgement for file in data_files(run)}
    if not states or set(states.values()) != {"accepted"}:
        raise DemoFailed(f"not all files are acknowledged as accepted: {states}")
    say(f"The legacy ERP's acknowledgements (997) are read: it accepts {number(len(states), 'file')}.")


def expect_journal(sandbox: Sandbox, expected: Mapping[str, ExpectedEntry]) -> None:
    """See that SAP's journal has each entry once, right to the cent, and no other.

    Raises:
        DemoFailed: it has not.
    """
    entries = [entry for entry in sandbox.company.entries() if entry["Reference3"]]
    times = Counter(entry["Reference2"] for entry in entries)
    if times != Counter(expected.keys()):
        raise DemoFailed(f"SAP has {times.total()} entries of {len(times)} records, expected {len(expected)}")
    wrong = [text for entry in entries for text in differences(expected[entry["Reference2"]], entry)]
    if wrong:
        raise DemoFailed(f"entries in SAP are wrong: {wrong[:3]}")
    say(f"SAP's journal has each of the {len(entries)} entries once, right to the cent.")


def describe(changed: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """What changed, for people: name and how many."""
    for name, keys in changed.items():
        yield name.replace("_", " "), len(keys) if isinstance(keys, (list, tuple, set, dict)) else keys


def rows_of(dag_id: str, run_id: str) -> Filters:
    """Picks what the ledger has of a run; two DAGs may have runs of the same id."""
    integration, _, instance = dag_id.partition("__")
    return Filters(integration, instance or "default", run_id=run_id)


def finish(airflow: AirflowServices, dag_id: str, run_id: str) -> Filters:
    """Wait for a run and see that it succeeded; returns what picks its rows in the ledger.

    Raises:
        DemoFailed: It did not.
    """
    run = airflow.wait_run(dag_id, run_id)
    if run["state"] != "success":
        failed = [task["task_id"] for task in airflow.tasks(dag_id, run_id) if task["state"] == "failed"]
        show_run("What there is", rows_of(dag_id, run_id))
        log = airflow.task_log(dag_id, run_id, failed[0]) if failed else ""
        raise DemoFailed(f"run {run_id} ended {run['state']}; failed: {', '.join(failed)}\n{log[-3000:]}")
    return rows_of(dag_id, run_id)


def ledger() -> Ledger:
    """The demo's ledger."""
    return Ledger.open(f"sqlite:///{HOME / 'ledger.db'}")


def show_run(title: str, run: Filters, red: Sequence[str] = ()) -> list[RunRow]:
    """Print the conservation table of a run; every entity must tie out but those that are to be red.

    Raises:
        DemoFailed: one does not, or ties out although it should not.
    """
    with ledger() as book:
        rows = sorted(book.runs(run), key=lambda row: row.id)
    say(f"{title} ({run.run_id})")
    head = ("extracted", "delivered", "posted", "held", "duplicate", "excluded")
    print(f"\n  {'entity':<18}" + "".join(f"{name:>10}" for name in head) + "  ties out")
    for row in rows:
        counts = "".join(f"{getattr(row, name):>10}" for name in head)
        print(f"  {row.entity:<18}{counts}  {'yes' if row.ties_out else 'NO'}")
        if row.message:
            print(indented(row.message))
        if row.target_totals:
            print("      " + ", ".join(f"{code} {amount}" for code, amount in totals_text(row.target_totals).items()))
    print(flush=True)
    wrong = [row.entity for row in rows if row.ties_out == (row.entity in red)]
    if wrong or not rows:
        raise DemoFailed(f"these do not tie out, or should not have: {', '.join(wrong) or 'nothing was run'}")
    return rows


def delivered_files(run: Filters) -> list[FileRow]:
    """What a run delivered, in order."""
    with ledger() as book:
        return sorted(book.files(run), key=lambda file: file.id)


def data_files(run: Filters) -> list[FileRow]:
    """What a run delivered without the files beside the data, such as manifests."""
    return [file for file in delivered_files(run) if file.kind == "data"]


def show_files(run: Filters) -> None:
    """Print what a run delivered."""
    files = delivered_files(run)
    shown = [file for file in files if file.kind == "data" and not file.file_name.endswith(".pdf")]
    beside = Counter("PDF" if file.kind == "data" else file.kind for file in files if file not in shown)
    told = "".join(f", {number(count, kind)} of them" for kind, count in beside.items())
    print(f"  {number(len(files), 'file')} delivered{told}:")
    for file in shown:
        print(f"      {file.remote_path}  {file.records} records, {file.bytes} bytes, verified by {file.verification}")
    print(flush=True)


def number(count: int, name: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {name}{'s' * (count != 1)}"


def indented(text: str) -> str:
    """A long text as lines below what it belongs to."""
    return textwrap.fill(text, 120, initial_indent=" " * 6, subsequent_indent=" " * 8, break_on_hyphens=False)


def show_held(integration: str) -> None:
    """Print what is held and why."""
    with ledger() as book:
        held = book.held(Filters(integration, status="held"))
    if held:
        print("  Held, with what finance is told:")
        for row in held:
            print(f"      {row.entity} {row.source_key}: {row.message} {row.fix_hint}")
        print(flush=True)


def expect_peakflo(sandbox: Sandbox, rows: list[RunRow]) -> None:
    """See that Peakflo's inbox takes every file of the run, and as many records as the ledger says.

    Raises:
        DemoFailed: it refuses one, or counts differently.
    """
    results = sandbox.inbox.load()
    for result in results:
        if result.status != "accepted":
            raise DemoFailed(
                f"Peakflo {result.status} {result.name}: {[vars(refusal) for refusal in result.refusals][:3]}"
            )
    for row in rows:
        if row.entity == "invoice_pdfs":
            continue
        taken = sum(result.records for result in results if result.entity == row.entity)
        if taken != row.delivered:
            raise DemoFailed(f"Peakflo took {taken} {row.entity}, the ledger says {row.delivered} were delivered")
    say(f"Peakflo took all {len(results)} files.")


if __name__ == "__main__":
    raise SystemExit(main())
