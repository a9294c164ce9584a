from __future__ import annotations

from tests.support.mail_server import mail_server, mailbox
from tests.support.syspro_connection import add_connection, airflow_home, ledger, server

__all__ = ["add_connection", "airflow_home", "ledger", "mail_server", "mailbox", "server"]
