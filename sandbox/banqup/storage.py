"""Signed URLs, and the bytes behind them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from urllib.parse import parse_qs, quote

from sandbox.banqup.documents import DocumentStore, StoredFile
from sandbox.banqup.faults import Settings
from sandbox.banqup.replies import Refused
from sandbox.http_server import Reply, Request

STORAGE = "/storage/v1/objects/"


class Storage:
    """Signs URLs of stored files and serves them while the signature is good.

    Args:
        store: The files, and the clock by which URLs expire.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._key = secrets.token_bytes(16)

    def url(self, stored: StoredFile, base: str, settings: Settings, redirects: int | None = None) -> str:
        """A URL that is good without a token for a while; `base` is empty for a relative one."""
        hops = str(settings.redirects if redirects is None else redirects)
        expires_at = self._store.clock.now() + timedelta(seconds=settings.download_seconds)
        expires = f"{expires_at.timestamp():.3f}"
        query = f"expires={expires}&hops={hops}&signature={self._signature(stored.id, expires, hops)}"
        return f"{base}{STORAGE}{stored.id}/{quote(stored.name)}?{query}"

    def _signature(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()

    def serve(self, request: Request, base: str, settings: Settings) -> Reply:
        """The bytes, or a redirect to them. Raises Refused."""
        if "authorization" in request.headers and settings.refuse_authorization:
            raise Refused(400, "invalid_argument", "Only one way to authenticate is allowed, and the URL is signed")
        file_id = request.path.removeprefix(STORAGE).partition("/")[0]
        given = {name: values[0] for name, values in parse_qs(request.query).items()}
        expires, hops = given.get("expires", ""), given.get("hops", "")
        signature = self._signature(file_id, expires, hops)
        if not hmac.compare_digest(signature.encode(), given.get("signature", "").encode()):
            raise Refused(403, "signature_mismatch", "The signature of this URL is wrong")
        if float(expires) <= self._store.clock.now().timestamp():
            raise Refused(403, "url_expired", "This URL has expired")
        stored = self._store.files.get(file_id)
        if stored is None or stored.is_missing:
            raise Refused(404, "not_found", "There is no such object")
        if int(hops) > 0:
            return Reply(302, [("Location", self.url(stored, base, settings, int(hops) - 1))])
        return Reply(200, [("Content-Type", stored.content_type)], stored.data)
