"""The one step of `connection_health`: look at every connection, keep what was found, tell whoever must know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from tieout.errors import TieoutError

if TYPE_CHECKING:
    from tieout.health import Finding


class CheckConnections(BaseOperator):
    """Look at all connections that enabled instances use, side by side, in one task."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, keep, tell.

        Returns:
            How many connections there are, and the names of those that are not well.

        Raises:
            TieoutError: Somebody must act on a connection; the message says which and why. What was found is kept.
            ConfigurationInvalid: `health.yaml` or an instance's file is wrong.
        """
        from tieout.ledger import Ledger
        from tieout.ledger_url import ledger_url

        with Ledger.open(ledger_url(), migrate=True) as ledger:
            findings = self._look(ledger, context)
        summary = _summary(findings)
        self._tell(findings)
        acute = [_sentence(finding) for finding in findings if finding.acute]
        if acute:
            context["ti"].xcom_push(key="summary", value=summary)
            raise TieoutError(f"{len(acute)} of {len(findings)} connections need somebody.\n" + "\n".join(acute))
        return summary

    def _look(self, ledger: Any, context: Context) -> list[Finding]:
        from tieout.config import include_folder
        from tieout.health import connections_in_use, load_health, look_at_all, rounds, telling
        from tieout.hooks.connection_checks import looking, probe_of

        config = load_health()
        how = looking(config, also_refused=bool(context["params"].get("also_refused")))
        probes = [probe_of(use, config) for use in connections_in_use(include_folder())]
        known = ledger.connection_states()
        findings = look_at_all(probes, known, how)
        findings = [telling.tell(ledger, finding) for finding in findings]
        rounds.note(ledger, findings, run_id=context["dag_run"].run_id)
        telling.forget(ledger, [state for label, state in known.items() if label not in {p.label for p in probes}])
        return findings

    def _tell(self, findings: Sequence[Finding]) -> None:
        """The log has a line for all that is worth one."""
        for finding in findings:
            for check in finding.health.checks:
                if check.status in ("failed", "warning"):
                    self.log.warning("%s, %s, %s: %s", finding.health.label, check.name, check.status, check.message)


def _summary(findings: Sequence[Finding]) -> dict[str, Any]:
    """For XCom: small, whatever the number of connections."""
    from tieout.health import Status

    return {
        "connections": len(findings),
        "ok": sum(finding.health.ok for finding in findings),
        "need_somebody": [finding.health.label for finding in findings if finding.acute],
        "once_more": [finding.health.label for finding in findings if finding.health.failed and not finding.acute],
        "not_tried": [finding.health.label for finding in findings if not finding.tried],
        "warnings": [finding.health.label for finding in findings if finding.health.of_status(Status.WARNING)],
    }


def _sentence(finding: Finding) -> str:
    said = " ".join(f"{check.name.replace('_', ' ')}: {check.message}" for check in finding.acute if check.message)
    return f"{finding.health.label}: {said}"
