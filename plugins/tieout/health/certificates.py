"""How long the certificate of an HTTPS server is still good."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime
from urllib.parse import urlsplit

from tieout.health.model import CERTIFICATE, Check, Status

_SECONDS = 10.0


def check_certificate(url: str, *, notice_days: int, now: datetime, verify: bool | str, production: bool) -> Check:
    """Read a server's certificate; nothing is sent to it.

    Whether the certificate is trusted is judged by the log-in. Here it is only read, whoever has signed it.

    Args:
        url: Base URL.
        notice_days: Days before its end from which that is worth a warning.
        now: The present moment, aware UTC.
        verify: Whether log-ins verify the certificate, or the CA file.
        production: Whether to warn where they do not.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        return Check(CERTIFICATE, Status.NOT_APPLICABLE)
    try:
        ends = _end_of(parts.hostname or "", parts.port or 443)
    except (OSError, ValueError):
        return Check(CERTIFICATE, Status.UNKNOWN)
    days = (ends - now).days
    if ends <= now:
        return Check(
            CERTIFICATE, Status.FAILED, f"The server's certificate ended on {ends:%Y-%m-%d}. {_WHO}", due=ends.date()
        )
    if days < notice_days:
        left = f"The server's certificate ends on {ends:%Y-%m-%d}, in {days} days. {_WHO}"
        return Check(CERTIFICATE, Status.WARNING, left, due=ends.date())
    if verify is False and production:
        open_door = "The certificate is not verified (verify is false): any server would be trusted with the password."
        return Check(CERTIFICATE, Status.WARNING, f"{open_door} Put the CA's file into verify of the extra.")
    return Check(CERTIFICATE, Status.OK, f"The server's certificate ends on {ends:%Y-%m-%d}, in {days} days.")


_WHO = "Whoever runs the server must renew it."


def _end_of(host: str, port: int) -> datetime:
    from cryptography import x509

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        found = secured.getpeercert(binary_form=True)
    if not found:
        raise ValueError("no certificate")
    return x509.load_der_x509_certificate(found).not_valid_after_utc
