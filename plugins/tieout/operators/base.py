"""What our operators share: from an Airflow context to a `Run`, its ledger and its staging folder."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow.sdk import BaseOperator, Context

from tieout.config import Instance, IntegrationConfig, load_instance

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from tieout.integrations.run import Run
    from tieout.ledger import Ledger
    from tieout.lineage.datasets import Dataset
    from tieout.lineage.flow import Flow
    from tieout.staging import Folder


class InstanceOperator(BaseOperator):
    """A step of one instance's run.

    The instance's YAML is read again when the task runs, so that a repaired file counts for the next attempt.
    """

    def __init__(self, *, instance: Instance[Any], **kwargs: Any) -> None:
        kwargs.setdefault("doc_md", inspect.getdoc(type(self)))
        super().__init__(**kwargs)
        self.integration = instance.integration
        self.instance = instance.name
        self._config_model: type[IntegrationConfig] = type(instance.config)

    def load_config(self) -> Any:
        """The instance's configuration as it stands now.

        Raises:
            ConfigurationInvalid: the file is wrong; says file, line and key.
        """
        return load_instance(self.integration, self.instance, self._config_model).config

    def run_of(self, context: Context) -> Run:
        """What this DAG run was asked to do."""
        from tieout.integrations.run import Run

        dag_run = context["dag_run"]
        params: Mapping[str, Any] = context["params"]
        run_type = str(getattr(dag_run.run_type, "value", dag_run.run_type))
        return Run(
            integration=self.integration,
            instance=self.instance,
            run_id=dag_run.run_id,
            mode="held_only" if params.get("held_only") else "backfill" if run_type == "backfill" else "incremental",
            interval_start=dag_run.data_interval_start,
            interval_end=dag_run.data_interval_end,
            stamp=_stamp(dag_run),
            dry_run=bool(params.get("dry_run")),
            entities=tuple(params.get("entities") or ()),
            full_refresh=tuple(params.get("full_refresh") or ()),
            held_ids=tuple(params.get("held_ids") or ()),
            by_schedule=run_type == "scheduled",
        )

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The book of record."""
        from tieout.ledger import Ledger
        from tieout.ledger_url import ledger_url

        with Ledger.open(ledger_url(), migrate=True) as ledger:
            yield ledger

    def staging(self, run: Run) -> Folder:
        """This run's staging folder."""
        return staging_root() / self.dag_id / run.folder_name

    def staged_dataset(self, *parts: str) -> Dataset:
        """What lineage calls a place in this DAG's staging; the run's own folder is left out."""
        from tieout.lineage.datasets import staged

        return staged(staging_root(), self.dag_id, *parts)

    def flow(self, context: Context) -> Flow:
        """What the task has read and written, for lineage, as far as it came; nothing unless a step says more."""
        from tieout.lineage.flow import NOTHING

        return NOTHING

    def conservation(self, context: Context) -> Flow:
        """The flow of a step that reads and writes nothing: what the ledger says of the run."""
        from tieout.ledger import Filters
        from tieout.lineage.conservation import NAME, conservation_facet
        from tieout.lineage.flow import Flow

        run = self.run_of(context)
        with self.ledger() as ledger:
            rows = ledger.runs(Filters(run.integration, run.instance, run_id=run.run_id))
        return Flow(run_facets={NAME: conservation_facet(rows)})

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """What Airflow's OpenLineage provider asks for when the task has ended, well or badly."""
        from tieout.operators.lineage import told

        return told(lambda: self.flow(task_instance.get_template_context()))


def _stamp(dag_run: Any) -> datetime:
    scheduled = str(getattr(dag_run.run_type, "value", dag_run.run_type)) in ("scheduled", "backfill")
    stamp = (dag_run.data_interval_end if scheduled else None) or dag_run.run_after or dag_run.start_date
    return stamp.astimezone(UTC)


def staging_root() -> Any:
    """`TIEOUT_STAGING`: a local folder as a plain path, anything else through Airflow's object storage."""
    home = os.environ.get("AIRFLOW_HOME", os.path.expanduser("~/airflow"))
    uri = os.environ.get("TIEOUT_STAGING") or f"file://{home}/staging"
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Path(unquote(parts.path)).absolute()
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(uri)
