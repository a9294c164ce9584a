"""A bare HTTP client for a simulated Service Layer, which hides nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import urllib3


@dataclass
class Client:
    """Speaks HTTP to a simulated Service Layer, cookies by hand."""

    url: str
    version: str = "v2"
    cookie: str = ""
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=10))

    def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: Any = None
    ) -> urllib3.BaseHTTPResponse:
        sent = {"Cookie": self.cookie, **(headers or {})} if self.cookie else dict(headers or {})
        content = None if body is None else json.dumps(body)
        return self.pool.request(method, f"{self.url}/b1s/{self.version}/{path}", headers=sent, body=content)

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def rows(self, path: str, size: int = 0) -> list[dict[str, Any]]:
        reply = self.get(path, Prefer=f"odata.maxpagesize={size}")
        assert reply.status == 200, reply.data
        rows: list[dict[str, Any]] = reply.json()["value"]
        return rows

    def filtered(self, entity_set: str, condition: str, select: str = "DocEntry") -> list[Any]:
        rows = self.rows(f"{entity_set}?$filter={quote(condition)}&$select={select}")
        return [row[select.split(",")[0]] for row in rows]

    def login(self, database: str = "SBODEMOEU", user: str = "tieout", password: str = "tie-out-1") -> Client:
        reply = self.request("POST", "Login", body={"CompanyDB": database, "UserName": user, "Password": password})
        assert reply.status == 200, reply.data
        self.cookie = f"B1SESSION={reply.json()['SessionId']}"
        return self

    def on(self, version: str) -> Client:
        return Client(self.url, version, self.cookie, self.pool)
