"""`make demo`: every integration once against the sandbox, in real Airflow, and the proof that it ties out.

Two runs of SAP Business One → Peakflo: the scheduler's first run takes everything; then some records change in SAP, and
a second run must deliver exactly those. The exit status is 0 only if every run ties out and Peakflo took what was sent.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Mapping

from airflow_services import ROOT, AirflowError, AirflowServices
from sandbox.sap_b1.scenario import second_day
from sandbox.world import Sandbox
from tieout.ledger import Filters, Ledger, RunRow, totals_text

DAG_ID = "sap_b1_to_peakflo"
HOME = ROOT / ".airflow" / "demo"
STARTED = time.monotonic()


class DemoFailed(Exception):
    """Something of what the demo shows does not hold; the message says what."""


def say(text: str) -> None:
    """A line of progress, with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", flush=True)


def main() -> int:
    """Run the demo; returns the process's exit status."""
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        say("Starting the sandbox: SAP Business One, Peakflo's inbox and its SFTP server …")
        with Sandbox(size="demo", planted=True, folder=HOME / "sandbox") as sandbox:
            say("Starting Airflow: scheduler, DAG processor, triggerer, API server …")
            with AirflowServices(HOME, sandbox.env) as airflow:
                airflow.wait_healthy()
                say(f"Airflow is up at {airflow.url}.")
                demonstrate(airflow, sandbox)
    except (AirflowError, DemoFailed) as error:
        print(f"\nThe demo failed: {error}\nLogs are in {HOME}.", file=sys.stderr)
        return 1
    say("Everything ties out.")
    return 0


def demonstrate(airflow: AirflowServices, sandbox: Sandbox) -> None:
    """Both runs, each with its proof."""
    say(f"{DAG_ID}: unpaused, so the scheduler makes its first run: everything that SAP has …")
    airflow.wait_dag(DAG_ID)
    airflow.unpause(DAG_ID)
    first = finish(airflow, first_run(airflow))
    rows = show_run("First run, everything", first)
    show_held()
    expect_peakflo(sandbox, rows)

    changed = second_day(sandbox.company)
    say("Some records change in SAP: " + ", ".join(f"{key} {value}" for key, value in describe(changed)))
    second = finish(airflow, airflow.trigger(DAG_ID))
    rows = show_run("Second run, exactly what changed", second)
    expect_peakflo(sandbox, rows)


def describe(changed: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """What changed, for people: name and how many."""
    for name, keys in changed.items():
        yield name.replace("_", " "), len(keys) if isinstance(keys, (list, tuple, set, dict)) else keys


def first_run(airflow: AirflowServices) -> str:
    """The id of the run that the scheduler makes by itself.

    Raises:
        AirflowError: it makes none within a minute.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        runs = airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns")["dag_runs"]
        if runs:
            return str(runs[0]["dag_run_id"])
        time.sleep(0.2)
    raise AirflowError(f"The scheduler made no run of {DAG_ID} within a minute.")


def finish(airflow: AirflowServices, run_id: str) -> str:
    """Wait for a run and see that it succeeded."""
    run = airflow.wait_run(DAG_ID, run_id)
    if run["state"] != "success":
        failed = [task["task_id"] for task in airflow.tasks(DAG_ID, run_id) if task["state"] == "failed"]
        show_run("What there is", run_id)
        log = airflow.task_log(DAG_ID, run_id, failed[0]) if failed else ""
        raise DemoFailed(f"run {run_id} ended {run['state']}; failed: {', '.join(failed)}\n{log[-3000:]}")
    return run_id


def ledger() -> Ledger:
    """The demo's ledger."""
    return Ledger.open(f"sqlite:///{HOME / 'ledger.db'}")


def show_run(title: str, run_id: str) -> list[RunRow]:
    """Print the conservation table and the files of a run; every entity must tie out.

    Raises:
        DemoFailed: one does not.
    """
    with ledger() as book:
        rows = sorted(book.runs(Filters(run_id=run_id)), key=lambda row: row.id)
        files = book.files(Filters(run_id=run_id))
    say(f"{title} ({run_id})")
    print(f"\n  {'entity':<18}{'extracted':>10}{'delivered':>10}{'held':>6}{'duplicate':>10}{'excluded':>9}  ties out")
    for row in rows:
        print(
            f"  {row.entity:<18}{row.extracted:>10}{row.delivered:>10}{row.held:>6}{row.duplicate:>10}"
            f"{row.excluded:>9}  {'yes' if row.ties_out else 'NO'}"
        )
        if row.target_totals:
            print("      " + ", ".join(f"{code} {amount}" for code, amount in totals_text(row.target_totals).items()))
    data = [file for file in files if not file.file_name.endswith(".pdf")]
    print(f"\n  {len(files)} files delivered, {len(files) - len(data)} of them PDFs:")
    for file in sorted(data, key=lambda file: file.id):
        print(f"      {file.remote_path}  {file.records} records, {file.bytes} bytes, verified by {file.verification}")
    print(flush=True)
    wrong = [row.entity for row in rows if not row.ties_out]
    if wrong or not rows:
        raise DemoFailed(f"these do not tie out: {', '.join(wrong) or 'nothing was run'}")
    return rows


def show_held() -> None:
    """Print what is held and why."""
    with ledger() as book:
        held = book.held(Filters(status="held"))
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
