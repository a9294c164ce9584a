"""Banqup → clients' servers without Airflow: the steps that its DAG has, each with its time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.banqup_sandbox import Banqup
from benchmarks.measure import timed
from tieout.delivery import SftpTarget
from tieout.integrations.banqup_to_sftp import alerts, collecting, index, sending, steps, validating
from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
from tieout.integrations.banqup_to_sftp.plan import Asked, ClientPlan
from tieout.integrations.run import Run
from tieout.integrations.tie_out import raise_unless_all_tie_out, tie_out
from tieout.ledger import Filters, Ledger
from tieout.systems.banqup import BanqupClient, BanqupSettings
from tieout.yaml_file import parse_yaml

INTEGRATION = "banqup_to_sftp"
STEPS = ("open_run", "collect", "validate", "quality_gate", "plan_deliveries", "deliver", "tie_out")


def carry_out(banqup: Banqup, documents: int, folder: Path, number: int = 1) -> dict[str, float]:
    """One run, with the instance's defaults and a ledger in SQLite in `folder`, new when it is not there.

    Args:
        banqup: Banqup and the servers.
        documents: How many there are to deliver.
        folder: Staging and the ledger.
        number: Of the run.

    Returns:
        Step → wall seconds.

    Raises:
        AssertionError: Not every document was delivered, or not all clients have exactly theirs.
    """
    config = parse_yaml(banqup.instance, "default.yaml").validate(BanqupToSftp)
    run = Run(INTEGRATION, "default", f"benchmark-{number}", "incremental", None, None, datetime.now(UTC))
    with Ledger.open(f"sqlite:///{folder / 'ledger.db'}", migrate=True) as ledger:
        seconds = _timed_steps(run, config, banqup, ledger, folder / run.run_id)
        delivered = sum(row.delivered for row in ledger.runs(Filters(run_id=run.run_id)))
    missing = banqup.missing()
    if delivered != documents or missing:
        raise AssertionError(f"All {documents} documents must be delivered, each once: {delivered}; {missing} missing.")
    return seconds


def _timed_steps(run: Run, config: BanqupToSftp, banqup: Banqup, ledger: Ledger, staging: Path) -> dict[str, float]:
    plans: list[ClientPlan] = []
    shares: list[list[str]] = []

    def collect() -> None:
        with BanqupClient(_settings(banqup)) as client:
            collecting.collect(run, config, plans, ledger, staging, client)

    def deliver() -> None:
        names = [name for share in shares for name in share]
        by_client = {plan.client: plan for plan in plans}
        sending.deliver(run, config, by_client, names, ledger, staging, lambda conn_id: _target(banqup, conn_id))

    def close() -> None:
        alerts.tell(run, config, ledger)
        raise_unless_all_tie_out(tie_out(run, [plan.client for plan in plans], ledger))

    works: dict[str, Callable[[], Any]] = {
        "open_run": lambda: plans.extend(steps.open_run(run, Asked(), config, ledger)),
        "collect": collect,
        "validate": lambda: validating.validate(config, [plan.client for plan in plans], staging),
        "quality_gate": lambda: index.check_index(run, plans, ledger, staging),
        "plan_deliveries": lambda: shares.extend(steps.plan_deliveries(run, config, plans, ledger, staging)),
        "deliver": deliver,
        "tie_out": close,
    }
    return {step: timed(works[step])[0] for step in STEPS}


def _settings(banqup: Banqup) -> BanqupSettings:
    fields = banqup.connection("banqup")
    return BanqupSettings.from_connection(
        host=fields["host"], login=fields["login"], password=fields["password"], extra={}
    )


def _target(banqup: Banqup, conn_id: str) -> SftpTarget:
    fields = banqup.connection(conn_id)
    return SftpTarget.from_connection(
        fields["host"], fields["port"], fields["login"], fields["password"], fields["extra"], production=True
    )
