"""Mail through Airflow's SMTP hook, with errors that say what to do.

Airflow's connection form has two switches: `disable_ssl` (TLS from the first byte, usually port 465) and `disable_tls`
(STARTTLS, usually port 587); both are on unless disabled, and a server offers one of them.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Any

from airflow.exceptions import AirflowException
from airflow.providers.smtp.hooks.smtp import SmtpHook

from tieout.errors import ConfigurationInvalid, CredentialsRejected, ReceiverRefused, ReceiverUnavailable
from tieout.hooks.connections import connection

TLS_HINT = (
    "Correct the connection's port and extra: disable_tls: true where TLS begins at once (port 465), disable_ssl: true "
    "for STARTTLS (port 587), both for a server without encryption."
)

log = logging.getLogger(__name__)


def send(
    conn_id: str,
    sender: str | None,
    to: Sequence[str],
    subject: str,
    text: str,
    html: str,
    *,
    message_id: str | None = None,
) -> None:
    """Send one mail, as plain text with an HTML alternative.

    Sent once: whether to try again after an outage is the task's retry policy's to decide. Addresses that the server
    refuses while it takes others are logged.

    Args:
        conn_id: An Airflow connection of type `smtp`.
        sender: The sender's address, `Name <address>` too; None takes the connection's `from_email`.
        to: Addresses, at least one.
        subject: One line.
        text: The body as plain text.
        html: The same as HTML.
        message_id: What the Message-ID is made of, so that a mail sent twice is known as one; random by default.

    Raises:
        ConfigurationInvalid: There is no such connection, it does not fit the server's encryption, or sender or
            recipients are missing.
        CredentialsRejected: The server refused user name or password.
        ReceiverUnavailable: The server does not answer, or not now.
        ReceiverRefused: The server will not take this mail, or none of the recipients.
    """
    mailer = _Mailer(conn_id)
    where = _place(conn_id)
    with _our_errors(conn_id, where), mailer.logged_in():
        message = _message(conn_id, sender or mailer.from_email, to, subject, text, html, message_id)
        refused = mailer.deliver(message)
    if refused:
        log.warning("%s did not take the mail for %s; the others got it.", where, ", ".join(sorted(refused)))


class _Mailer(SmtpHook):
    """Airflow's hook with a message of our own: its `send_email_smtp` knows HTML only, and sends up to six times."""

    @contextmanager
    def logged_in(self) -> Iterator[None]:
        """Connect, encrypt and log in; close also when one of them fails."""
        try:
            self.get_conn()
            yield
        finally:
            client, self._smtp_client = self._smtp_client, None
            if isinstance(client, smtplib.SMTP):
                with suppress(smtplib.SMTPException, OSError):
                    client.quit()
                client.close()

    def deliver(self, message: EmailMessage) -> Mapping[str, Any]:
        """Hand the message over once; returns the recipients that were refused."""
        assert isinstance(self._smtp_client, smtplib.SMTP)
        return self._smtp_client.send_message(message)


def _message(
    conn_id: str,
    sender: str | None,
    to: Sequence[str],
    subject: str,
    text: str,
    html: str,
    message_id: str | None,
) -> EmailMessage:
    if not sender:
        raise ConfigurationInvalid(
            f"The mail has no sender. Write one into the instance's YAML file (sender), or as from_email into the "
            f"extra of the connection {conn_id!r}."
        )
    if not to:
        raise ConfigurationInvalid("The mail has no recipient. Write at least one address into the YAML file (to).")
    message = EmailMessage()
    try:
        message["Subject"] = subject
        message["From"] = sender
        message["To"] = ", ".join(to)
    except (ValueError, IndexError) as error:
        raise ConfigurationInvalid(f"Sender or recipient of the mail is no address: {error}. Correct it.") from None
    message["Date"] = formatdate()
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<tieout.{message_id}@{domain}>" if message_id else make_msgid(domain=domain)
    message["Auto-Submitted"] = "auto-generated"
    # Long lines and letters of all languages pass every server in this form.
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def _place(conn_id: str) -> str:
    """The server in words, without anything secret.

    Raises:
        ConfigurationInvalid: there is no such connection.
    """
    found = connection(conn_id)
    address = f"{found.host or 'localhost'}:{found.port}" if found.port else str(found.host or "localhost")
    return f"The mail server {address} (connection {conn_id!r})"


@contextmanager
def _our_errors(conn_id: str, where: str) -> Iterator[None]:
    """Errors of the mail library, of TLS and of the network as ours; never with what was sent to log in."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        if _passing(error.smtp_code):
            raise ReceiverUnavailable(f"{where} cannot check log-ins now (code {error.smtp_code}).") from None
        raise CredentialsRejected(
            f"{where} refused the user name or password (code {error.smtp_code}). Correct them in the connection."
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise ConfigurationInvalid(
            f"{where} does not offer the encryption or the kind of log-in that the connection asks for. {TLS_HINT}"
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        names = ", ".join(sorted(error.recipients))
        if codes and all(_passing(code) for code in codes):
            raise ReceiverUnavailable(f"{where} does not take mail for {names} now (code {codes[0]}).") from None
        raise ReceiverRefused(f"{where} takes no mail for {names} (code {codes[0] if codes else '?'}).") from None
    except smtplib.SMTPResponseException as error:
        said = f"code {error.smtp_code}: {_words(error.smtp_error)}"
        if _passing(error.smtp_code):
            raise ReceiverUnavailable(f"{where} does not take the mail now ({said}).") from None
        raise ReceiverRefused(f"{where} refused the mail ({said}).") from None
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationInvalid(
            f"{where} shows a certificate that cannot be verified ({error.verify_message}). Install its authority on "
            "this machine, or correct the host name in the connection."
        ) from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        raise ReceiverUnavailable(f"{where} broke the connection off while it was being encrypted.") from None
    except ssl.SSLError:
        raise ConfigurationInvalid(f"{where} does not speak TLS in the way the connection asks. {TLS_HINT}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise ReceiverUnavailable(f"{where} does not answer ({error.strerror or type(error).__name__}).") from None
    except (AirflowException, RuntimeError) as error:
        if isinstance(error.__context__, smtplib.SMTPServerDisconnected):
            raise ReceiverUnavailable(f"{where} closed the connection before any mail was sent.") from None
        raise ConfigurationInvalid(f"The mail connection {conn_id!r} cannot be used: {error}") from None


def _passing(code: int) -> bool:
    """4yz asks to try again later (RFC 5321, section 4.2.1); -1 is smtplib's word for a reply that never came."""
    return code < 500


def _words(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:200]
