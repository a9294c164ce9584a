"""`python -m benchmarks.close_run STEP FOLDER`: one step of a close in a process of its own, as Airflow runs it.

Reads what it needs as JSON from stdin (`format`, `syspro`, `sftp`, `root`), prints `seconds` and `peak MiB` as JSON.
What a worker has imported before its task begins, Airflow's task SDK too, is imported before the clock starts, and is
in the peak.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, peak_mib, timed

STEPS = ("read", "extract", "prepare", "quality_gate", "deliver")
PERIOD = "2026-10"


class Close:
    """A close of one period in one format.

    Args:
        folder: Staging, archive and ledger.
        given: What came over stdin.
    """

    def __init__(self, folder: Path, given: dict[str, Any]) -> None:
        from tieout.config import LegacyErpEntity, SftpFolder, SysproToLegacyErp, load_instance
        from tieout.integrations.run import Run
        from tieout.integrations.syspro_to_legacy_erp.setup import Setup

        shipped = load_instance("syspro_to_legacy_erp", "default", SysproToLegacyErp).config
        config = shipped.model_copy(
            update={
                "entities": {"gl_postings": LegacyErpEntity(format=given["format"])},
                "target": SftpFolder(root=given["root"]),
            }
        )
        moment = datetime(2026, 11, 4, 6, tzinfo=UTC)
        run = Run("syspro_to_legacy_erp", "default", "close", "incremental", None, None, moment)
        self._given = given
        self._setup = Setup.of(run, config, "EDU1", test_content=True)
        self._staging, self._archive = folder / "staging", folder / "archive"
        self._database = folder / "ledger.db"

    def work(self, step: str) -> Callable[[], Any]:
        """What the step does."""
        return {
            "read": self._read,
            "extract": self._extract,
            "prepare": self._prepare,
            "quality_gate": self._quality_gate,
            "deliver": self._deliver,
        }[step]

    def _plans(self, ledger: Any) -> Any:
        from tieout.integrations.syspro_to_legacy_erp import plan

        return plan.plan_run(
            self._setup.run, plan.Asked(PERIOD), self._setup.config, self._setup.calendar, ledger, self._archive
        )

    def _ledger(self) -> Any:
        from tieout.ledger import Ledger

        return Ledger.open(f"sqlite:///{self._database}", migrate=True)

    def _client(self) -> Any:
        from tieout.systems.syspro.client import SysproClient
        from tieout.systems.syspro.settings import SysproSettings

        fields = self._given["syspro"]
        return SysproClient(
            SysproSettings.from_connection(
                host=fields["host"], login=fields["login"], password=fields["password"], extra=fields["extra"]
            )
        )

    def _target(self) -> Any:
        from tieout.delivery import SftpTarget

        fields = self._given["sftp"]
        return SftpTarget(
            host=fields["host"],
            port=fields["port"],
            username=fields["user"],
            private_key=fields["key"],
            host_keys=(fields["host_key"],),
        )

    def _read(self) -> int:
        """Nothing but the reading: as fast as the server and the client go."""
        from tieout.integrations.syspro_to_legacy_erp.gl.reading import DETAIL_COLUMNS
        from tieout.systems.syspro.tables import GEN_JOURNAL_DETAIL, Condition, TableRead

        of_period = (Condition("GlYear", "eq", int(PERIOD[:4])), Condition("GlPeriod", "eq", int(PERIOD[5:])))
        with self._client() as client:
            return sum(
                batch.num_rows for batch in client.read(TableRead(GEN_JOURNAL_DETAIL, of_period, DETAIL_COLUMNS))
            )

    def _extract(self) -> Any:
        from tieout.integrations.syspro_to_legacy_erp import steps

        with self._ledger() as ledger, self._client() as client:
            return [steps.extract(self._setup, plan, ledger, self._staging, client) for plan in self._plans(ledger)]

    def _prepare(self) -> Any:
        from tieout.integrations.syspro_to_legacy_erp import steps

        with self._ledger() as ledger:
            return [
                steps.prepare(self._setup, plan, ledger, self._staging, self._archive, self._target)
                for plan in self._plans(ledger)
            ]

    def _quality_gate(self) -> Any:
        from tieout.integrations.syspro_to_legacy_erp import steps

        with self._ledger() as ledger:
            return steps.check_quality(self._setup, self._plans(ledger), ledger, self._staging)

    def _deliver(self) -> Any:
        from tieout.integrations.syspro_to_legacy_erp import sending

        places = sending.Places(self._staging, self._archive)
        with self._ledger() as ledger:
            plans = self._plans(ledger)
            return sending.deliver(self._setup, plans, {}, ledger, places, self._target)


def main(step: str, folder: Path) -> Row:
    """Run one step; its time and the most memory the process had."""
    given = json.loads(sys.stdin.read())
    import_module("tieout.operators.syspro_to_legacy_erp")
    for name in ("steps", "sending", "preparing"):
        import_module(f"tieout.integrations.syspro_to_legacy_erp.{name}")
    if step == "quality_gate":
        import_module("great_expectations")
    close = Close(folder, given)
    seconds, _ = timed(close.work(step))
    return {"seconds": seconds, "peak MiB": peak_mib()}


if __name__ == "__main__":
    os.environ["TIEOUT_ENV"] = "development"
    answer = main(sys.argv[1], Path(sys.argv[2]))
    print(json.dumps(answer))
