"""A real SMTP server on loopback, with log-ins, TLS where asked for, and replies of our choice."""

from __future__ import annotations

import email
import email.policy
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "tieout", "p4ss-w0rd"


@dataclass
class Mailbox:
    """What the server received, and how it answers.

    Attributes:
        replies: SMTP command or address → the reply instead of 250.
        on_data: Called when a mail has arrived, before it is acknowledged.
    """

    mails: list[Envelope] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    logins: int = 0
    on_data: Callable[[], None] | None = None

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        if "AUTH" in self.replies:
            return AuthResult(success=False, handled=False, message=self.replies["AUTH"])
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "DATA" in self.replies:
            return self.replies["DATA"]
        self.mails.append(envelope)
        if self.on_data:
            self.on_data()
        return "250 OK"

    def only(self) -> EmailMessage:
        """The one mail that came."""
        (message,) = self.messages()
        return message

    def messages(self) -> list[EmailMessage]:
        """All mails that came, in order."""
        return [_parsed(envelope) for envelope in self.mails]


def _parsed(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


class Server(Controller):
    """aiosmtpd on a port of its own; log-ins also without encryption."""

    def __init__(self, mailbox: Mailbox, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        # Bound here and now, so that nobody else has the port before aiosmtpd listens.
        self._bound = socket.create_server(("127.0.0.1", port))
        super().__init__(
            mailbox,
            hostname="127.0.0.1",
            port=self._bound.getsockname()[1],
            ready_timeout=60,
            authenticator=mailbox.authenticate,
            auth_required=True,
            auth_require_tls=False,
            tls_context=tls,
        )

    def _create_server(self) -> Coroutine[Any, Any, Any]:
        return self.loop.create_server(self._factory_invoker, sock=self._bound, ssl=self.ssl_context)


@pytest.fixture
def mailbox() -> Mailbox:
    """What the server of the test receives."""
    return Mailbox()


@pytest.fixture
def mail_server(mailbox: Mailbox) -> Iterator[Server]:
    """A running server; a test may stop it."""
    controller = Server(mailbox)
    controller.start()
    yield controller
    if not controller.loop.is_closed():
        controller.stop()
