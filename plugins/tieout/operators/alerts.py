"""The tasks of the DAG `alerts`, and what operators need to tell people at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

if TYPE_CHECKING:
    from tieout.ledger import Ledger

log = logging.getLogger(__name__)


def tell_now(ledger: Ledger) -> None:
    """Send what is due. What cannot be sent now is sent by the DAG `alerts`, so this never fails."""
    from tieout.alerts.config import load_alerts_config
    from tieout.alerts.sending import send_due
    from tieout.errors import TieoutError

    try:
        send_due(ledger, load_alerts_config())
    except TieoutError as error:
        log.error("Alerts cannot be sent now: %s", error)


class WriteHeldDigest(BaseOperator):
    """Once a day: what is held, for finance."""

    def execute(self, context: Context) -> list[str]:
        """The digests that were written now.

        Raises:
            ConfigurationInvalid: `include/alerts.yaml` is wrong; says line and key.
        """
        from tieout.alerts.channels import airflow_base_url
        from tieout.alerts.config import load_alerts_config
        from tieout.alerts.held_digest import announce_held
        from tieout.ledger import Ledger
        from tieout.ledger_url import ledger_url

        config = load_alerts_config()
        with Ledger.open(ledger_url(), migrate=True) as ledger:
            return announce_held(ledger, config.held_digest, base_url=config.base_url or airflow_base_url())


class SendAlerts(BaseOperator):
    """Send what is due by mail and webhook, each message once."""

    def execute(self, context: Context) -> dict[str, Any]:
        """What became of it.

        Raises:
            ReceiverRefused: a message could not be sent and is not tried again; says which and why.
            ReceiverUnavailable: a server takes none now, or a connection is wrong; the messages go later.
            ConfigurationInvalid: `include/alerts.yaml` is wrong; says line and key.
        """
        from tieout.alerts.config import load_alerts_config
        from tieout.alerts.sending import send_due
        from tieout.errors import ReceiverRefused, ReceiverUnavailable
        from tieout.ledger import Ledger
        from tieout.ledger_url import ledger_url

        with Ledger.open(ledger_url(), migrate=True) as ledger:
            done = send_due(ledger, load_alerts_config())
        self.log.info("%s messages sent.", len(done.sent))
        if done.failed:
            raise ReceiverRefused(" | ".join(done.failed))
        if done.delayed:
            raise ReceiverUnavailable(" | ".join(dict.fromkeys(done.delayed)))
        return {"sent": len(done.sent)}
