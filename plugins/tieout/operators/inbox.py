"""Waiting for a partner's files without occupying a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout import errors
from tieout.config import Instance
from tieout.operators.base import InstanceOperator

if TYPE_CHECKING:
    from tieout.lineage.flow import Flow

_TRIGGER = "tieout.operators.inbox_trigger.InboxTrigger"


class WaitForFiles(InstanceOperator):
    """Look at the source's folder until its files are complete, in Airflow's triggerer.

    Reads `connections.source` and `collect` of the instance's configuration.

    The task starts in the triggerer and not in a worker that defers: Airflow up to 3.3.2 takes the end of that first
    part for the end of the whole when it hears of it late, and fails or repeats a task whose trigger was quick
    (https://github.com/apache/airflow/issues/72716); repeated log-ins lock accounts.
    """

    template_fields = ("held_only",)
    start_from_trigger = True

    def __init__(self, *, instance: Instance[Any], **kwargs: Any) -> None:
        super().__init__(instance=instance, **{"pool": "sftp", **kwargs})
        from airflow.triggers.base import StartTriggerArgs

        self.held_only: Any = "{{ params.held_only }}"
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=_TRIGGER,
            trigger_kwargs={**_looking(instance.config), "held_only": self.held_only},
            next_method="execute_complete",
        )

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Defer; only where there is no triggerer to start in, as in `airflow dags test`.

        Raises:
            ConfigurationInvalid: the instance's YAML is wrong.
        """
        if self.run_of(context).mode == "held_only":
            return []
        from tieout.operators.inbox_trigger import InboxTrigger

        self.defer(trigger=InboxTrigger(**_looking(self.load_config())), method_name="execute_complete")

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The complete files (`path, name, size, mtime`), by time and name; none for a run over held records.

        Raises:
            SourceUnavailable: the server does not answer; Airflow tries again.
            CredentialsRejected: the login was refused; nothing is tried again.
            HostKeyMismatch: the server is not the pinned one.
            ReceiverRefused: there is no such folder, or we may not list it.
            ConfigurationInvalid: the connection or the configuration is wrong.
        """
        from tieout.integrations.outcome import tell_every_entity

        with self.ledger() as ledger, tell_every_entity(ledger, self.run_of(context)):
            _raise_if_failed(event)
        for file in event["growing"]:
            self.log.info("%s is not complete yet: left for a later run.", file["path"])
        self.log.info("%d files are complete.", len(event["complete"]))
        return list(event["complete"])

    def flow(self, context: Context) -> Flow:
        """The folder that was looked at."""
        from tieout.hooks.connections import sftp_target
        from tieout.lineage.datasets import sftp
        from tieout.lineage.flow import Flow, Read

        config = self.load_config()
        server = sftp_target(config.connections.source)
        return Flow((Read(sftp(server.host, server.port, config.collect.folder)),))


def _looking(config: Any) -> dict[str, Any]:
    """The trigger's arguments: where to look, and how."""
    collect = config.collect
    return {
        "conn_id": config.connections.source,
        "folder": collect.folder,
        "patterns": list(collect.patterns),
        "complete_when": collect.complete_when,
        "trigger_suffix": collect.trigger_suffix,
        "settle_seconds": collect.settle_seconds,
        "patience_seconds": collect.patience_seconds,
        "wait_seconds": collect.wait_seconds,
    }


def _raise_if_failed(event: Mapping[str, Any]) -> None:
    """An error crosses from the triggerer to the worker as its class's name and its sentence."""
    if "error" in event:
        kind = getattr(errors, event["error"], errors.TieoutError)
        raise kind(event["message"])
