"""One JSON message to a webhook, such as Slack's or Teams'.

The URL of a webhook is its password: whoever knows it can write there. It comes from an Airflow connection of type
`http`, where `password` is the secret part, appended to the address that `host` gives, or the whole URL. Nothing of it
is ever in an error or a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, SSLError, TimeoutError

from tieout.config import is_production
from tieout.errors import ConfigurationInvalid, ReceiverRefused, ReceiverUnavailable
from tieout.hooks.connections import connection
from tieout.systems.common.secret_address import secret_address

SECONDS = 20.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def post(conn_id: str, message: Mapping[str, Any]) -> None:
    """Send one message, once.

    Args:
        conn_id: An Airflow connection of type `http`; `verify` in its extra is true, or a file of authorities.
        message: What JSON can carry.

    Raises:
        ConfigurationInvalid: There is no such connection, or it holds no usable URL.
        ReceiverUnavailable: The server does not answer, or not now.
        ReceiverRefused: The server will not take the message, or does not know the webhook any more.
    """
    found = connection(conn_id)
    where = f"The webhook of the connection {conn_id!r}"
    url = _url(conn_id, found)
    verify = found.extra_dejson.get("verify", True)
    ca_certs = verify if isinstance(verify, str) else None
    with secret_address(), urllib3.PoolManager(retries=False, timeout=SECONDS, ca_certs=ca_certs) as http:
        try:
            answer = http.request("POST", url, json=dict(message), redirect=False, preload_content=False)
            status = answer.status
            answer.release_conn()
        # The library's own messages quote the URL, so nothing of them is passed on.
        except SSLError:
            raise ConfigurationInvalid(
                f"{where} shows a certificate that cannot be verified. Correct its host, or name the file of its "
                "authority as `verify` in the connection's extra."
            ) from None
        except (LocationParseError, ValueError):
            raise ConfigurationInvalid(f"{where} is no URL. Correct host and password of the connection.") from None
        except TimeoutError as error:
            if not isinstance(error, NewConnectionError):
                raise ReceiverUnavailable(f"{where} has not answered within {SECONDS:g} s.") from None
            raise ReceiverUnavailable(f"{where} cannot be connected to.") from None
        except (HTTPError, OSError) as error:
            raise ReceiverUnavailable(f"{where} cannot be reached ({type(error).__name__}).") from None
    _judge(where, status)


def _judge(where: str, status: int) -> None:
    if 200 <= status < 300:
        return
    if status in _PASSING:
        raise ReceiverUnavailable(f"{where} does not take messages now (HTTP status {status}).")
    if status in (401, 403, 404, 410):
        raise ReceiverRefused(
            f"{where} does not know this URL, or not any more (HTTP status {status}). Make a new webhook there, and "
            "put the secret part of its URL into the connection's password."
        )
    raise ReceiverRefused(f"{where} refused the message (HTTP status {status}).")


def _url(conn_id: str, found: Any) -> str:
    """The whole URL; secret."""
    host, secret = (found.host or "").strip(), (found.password or "").strip()
    if secret.startswith(("https://", "http://")):
        url = secret
    else:
        address = urlsplit(host if "://" in host else f"{found.schema or 'https'}://{host}")
        port = f":{found.port}" if found.port and not address.port else ""
        path = "/".join(part for part in (address.path.rstrip("/"), secret.lstrip("/")) if part)
        url = address._replace(netloc=f"{address.netloc}{port}", path=path).geturl()
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigurationInvalid(
            f"The connection {conn_id!r} holds no webhook: give its address as host (https://hooks.slack.com/services) "
            "and the secret rest of the URL as password."
        )
    if parts.scheme == "http" and is_production() and parts.hostname not in _LOOPBACK:
        raise ConfigurationInvalid(
            f"The webhook of the connection {conn_id!r} is not encrypted (http), and its URL is a secret. Use https."
        )
    return url
