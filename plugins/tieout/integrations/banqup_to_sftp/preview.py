"""What would be delivered to a client, from the real Banqup; nothing is delivered, nothing noted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tieout.integrations.banqup_to_sftp.collecting import collect_client
from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
from tieout.integrations.banqup_to_sftp.documents import read_documents
from tieout.integrations.banqup_to_sftp.placing import place_documents
from tieout.integrations.banqup_to_sftp.plan import Asked, day_of, plan_run, year_of
from tieout.integrations.banqup_to_sftp.validating import validate
from tieout.integrations.run import Run
from tieout.ledger import Ledger
from tieout.staging import Folder
from tieout.systems.banqup import BanqupClient


def preview(
    run: Run, config: BanqupToSftp, name: str, limit: int, ledger: Ledger, staging: Folder, client: BanqupClient
) -> list[dict[str, Any]]:
    """The next documents of a client, one row each; `(outcome)` says `send`, `held: …`, `duplicate` or `excluded: …`.

    Args:
        run: A dry run.
        config: The instance.
        name: The client's external id.
        limit: New documents to read at most.
        ledger: Only read.
        staging: An empty folder.
        client: Banqup.

    Raises:
        TieoutError: As Banqup's client says.
    """
    config = config.model_copy(update={"source": config.source.model_copy(update={"max_documents": limit})})
    settings = config.enabled_clients()[name]
    plan = next(plan for plan in plan_run(run, Asked(), config, ledger) if plan.client == name)
    folder = staging / name
    with ThreadPoolExecutor(config.source.parallel) as fetchers:
        collect_client(run, config, settings, plan, ledger, folder, client, fetchers)
    validate(config, [name], staging)
    prepared = place_documents(
        run, settings, folder, ledger, day=day_of(run, config), year=year_of(run, config), resend=False, unfit={}
    )
    outgoing = {each.key: each for each in prepared.outgoing}
    rows = []
    for document in read_documents(folder):
        if document.key in outgoing:
            outcome = "send"
        elif document.key in prepared.held:
            outcome = f"held: {prepared.held[document.key].message}"
        else:
            outcome = f"excluded: {document.why}" if document.state == "excluded" else "duplicate"
        going = outgoing.get(document.key)
        rows.append(
            {
                "document_id": document.key,
                "kind": document.kind,
                "number": document.number,
                "issue_date": document.issue_date,
                "status_at": document.status_at,
                "money": {currency: str(amount) for currency, amount in document.money.items()},
                "remote_path": going.path if going else None,
                "warnings": list(going.warnings) if going else [],
                "(outcome)": outcome,
            }
        )
    return rows
