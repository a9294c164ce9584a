"""Links from a task in Airflow's UI to what the Tieout page knows of its run.

Airflow's API server works them out when somebody looks (the plugin registers them), so they are there while a task
runs, and after one that was killed. The operators know nothing of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from tieout.config import split_dag_id

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PREFIX = "/tieout"
"""Where Airflow's API server serves the Tieout page."""
_MODULE = "tieout.operators."
_STEPS = {
    "sap_b1_to_peakflo": ("OpenRun", "Extract", "Prepare", "QualityGate", "Deliver", "TieOut"),
    "syspro_to_legacy_erp": ("OpenRun", "Extract", "Prepare", "QualityGate", "Deliver", "TieOut"),
    "stampli_to_sap_b1": (
        "OpenRun", "Collect", "Prepare", "QualityGate", "Post", "Archive", "ReadBack", "ExportPurchaseOrders",
        "FinanceDigest", "TieOut",
    ),
    "banqup_to_sftp": (
        "OpenRun", "Collect", "Validate", "QualityGate", "PlanDeliveries", "Deliver", "TellReceivers", "TieOut",
    ),
}  # fmt: skip


def page_root() -> str:
    """The Tieout page as a path on Airflow's server."""
    return f"{_prefix()}{PREFIX}/"


def page_url(page: str, **filters: str) -> str:
    """The address of one of the Tieout page's lists, absolute where `[api] base_url` is set.

    Args:
        page: `overview`, `runs`, `files` or `held`.
        filters: What to show of it, such as `run_id`.
    """
    return _base_url().rstrip("/") + _below(page, filters)


def page_path(page: str, **filters: str) -> str:
    """The same as a path, for a link on one of Airflow's own pages."""
    return _prefix() + _below(page, filters)


def _base_url() -> str:
    return str(conf.get("api", "base_url", fallback="") or "")


def _prefix() -> str:
    """The path under which a proxy serves Airflow; mostly none."""
    return urlsplit(_base_url()).path.rstrip("/")


def _below(page: str, filters: Mapping[str, str]) -> str:
    asked = f"?{urlencode(filters)}" if filters else ""
    return f"{PREFIX}/#/{page}{asked}"


class RunLink(BaseOperatorLink):
    """A link to one of the Tieout page's lists, narrowed to the task's run."""

    page: ClassVar[str]
    steps: ClassVar[frozenset[str]]
    """The classes of operators that have the link."""

    @property
    def operators(self) -> Sequence[type[BaseOperator]]:  # type: ignore[override]
        """The operators that have the link; imported only where Airflow asks, which is its API server."""
        return [
            getattr(importlib.import_module(_MODULE + module), step)
            for module, steps in _STEPS.items()
            for step in steps
            if step in self.steps
        ]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address; empty for an operator that is not ours.

        Airflow finds the links of a mapped task by the mere name of its class, which others may use too.
        """
        if not _module_of(operator).startswith(_MODULE):
            return ""
        integration, instance = split_dag_id(ti_key.dag_id)
        return page_url(self.page, integration=integration, instance=instance, run_id=ti_key.run_id)


def _module_of(operator: Any) -> str:
    """The module of an operator's class, of the operator itself or as Airflow has it serialized, mapped or not."""
    mapped = getattr(operator, "operator_class", None)
    if isinstance(mapped, dict):
        return str(mapped.get("_task_module", ""))
    return str(getattr(operator, "_task_module", None) or type(operator).__module__)


class TieOutLink(RunLink):
    """To the conservation table of the run."""

    name = "Tie-out"
    page = "runs"
    steps = frozenset(step for steps in _STEPS.values() for step in steps)


class FilesLink(RunLink):
    """To the files that the run delivered, or took from a partner's folder."""

    name = "Files"
    page = "files"
    steps = frozenset({"Deliver", "Archive", "ExportPurchaseOrders", "TieOut"})


class HeldLink(RunLink):
    """To the records that the run held."""

    name = "Held records"
    page = "held"
    steps = frozenset({"Prepare", "QualityGate", "PlanDeliveries", "Deliver", "Post", "FinanceDigest", "TieOut"})


LINKS = (TieOutLink(), FilesLink(), HeldLink())
