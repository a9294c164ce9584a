"""How a request says who asks."""

from __future__ import annotations

import base64

from tieout.systems.syspro.settings import SysproSettings

TOKEN_PARAMETER = "UserId"


def basic_headers(settings: SysproSettings) -> dict[str, str]:
    """The `Authorization` header of basic authentication, where it is used."""
    if settings.auth == "session_token":
        return {}
    pair = f"{settings.basic_login}:{settings.basic_password}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}


def token_headers(settings: SysproSettings, token: str) -> dict[str, str]:
    """The headers that carry the token, where headers do."""
    if settings.token_in == "header":
        return {TOKEN_PARAMETER: token}
    if settings.token_in == "bearer":
        return {"Authorization": f"Bearer {token}"}
    return {}


def token_params(settings: SysproSettings, token: str) -> dict[str, str]:
    """The query parameters that carry the token, where the query does."""
    return {TOKEN_PARAMETER: token} if settings.token_in == "query" else {}
