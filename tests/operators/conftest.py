from __future__ import annotations

from tests.support.mail_server import mail_server, mailbox  # noqa: F401
