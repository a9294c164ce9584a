"""e.net carries passwords and tokens in URLs: this keeps them out of whatever is written down."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

HIDDEN = "***"

_PARAMETER = re.compile(
    r"(?i)\b(Operator|OperatorPassword|CompanyPassword|UserId|XmlIn|\$?skiptoken)=[^&\s\"'<>]*",
)
_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without e.net's secret query parameters and without the given secrets.

    >>> redact("GET /Logon?Operator=A&OperatorPassword=b%20c HTTP/1.1")
    'GET /Logon?Operator=***&OperatorPassword=*** HTTP/1.1'
    """
    for secret in secrets:
        if secret.strip():
            text = text.replace(secret, HIDDEN)
            text = text.replace(secret.strip(), HIDDEN)
    return _PARAMETER.sub(lambda match: f"{match[1]}={HIDDEN}", text)


class _RedactUrls(logging.Filter):
    """urllib3 logs the target of every request at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True


def redact_http_logs() -> None:
    """Makes urllib3's own loggers leave secrets out; harmless when called again."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _RedactUrls) for known in logger.filters):
            logger.addFilter(_RedactUrls())
