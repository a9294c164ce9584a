"""What Airflow learns from the package: connection types with typed forms, and the scheme of our assets' URIs."""

from __future__ import annotations

from typing import Any

import tieout

_VERIFY = "true, false, or the path of a CA file."


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _choice(label: str, description: str, *values: str) -> dict[str, Any]:
    """The first value is the default."""
    return _field(label, description, enum=list(values), default=values[0])


def _secret(label: str, description: str) -> dict[str, Any]:
    return _field(label, description, format="password")


def _integer(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return _field(label, description, **{"type": ["integer", "null"], **schema})


def _number(label: str, description: str, default: float) -> dict[str, Any]:
    return _field(label, description, type=["number", "null"], default=default, exclusiveMinimum=0)


def _switch(label: str, description: str) -> dict[str, Any]:
    return _field(label, description, type=["boolean", "null"], default=False)


SAP_B1: dict[str, Any] = {
    "connection-type": "sap_b1",
    "hook-class-name": "tieout.hooks.sap_b1.SapB1Hook",
    "hook-name": "SAP Business One Service Layer",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Base URL", "login": "User"},
        "placeholders": {"host": "https://b1.example.com:50000"},
    },
    "conn-fields": {
        "company_db": _field("Company database", "The CompanyDB to log in to, such as SBODEMOUS."),
        "api_version": _field("API version", "v2 (OData 4) or v1 (OData 3).", default="v2"),
        "verify": _field("Verify TLS", _VERIFY, default="true"),
        "page_size": _integer("Page size", "Records per page.", default=500, minimum=1, maximum=5000),
        "language": _integer("Language", "SAP's code for the language of messages; 3 is English."),
    },
}

SYSPRO: dict[str, Any] = {
    "connection-type": "syspro",
    "hook-class-name": "tieout.hooks.syspro.SysproHook",
    "hook-name": "SYSPRO",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Base URL", "login": "Operator", "password": "Operator's password"},
        "placeholders": {"host": "https://syspro.example.com:30001", "login": "an operator that nobody else uses"},
    },
    "conn-fields": {
        "company_id": _field("Company", "The company's id, such as EDU1."),
        "company_password": _secret("Company password", "Empty where the company has none."),
        "auth": _choice(
            "Authentication",
            "What the OData service asks for: a session token of e.net's Logon, basic authentication, or both.",
            "session_token", "basic", "token_and_basic",
        ),
        "token_in": _choice(
            "Token in",
            "How the token travels to the OData service: UserId in the query, UserId as a header, or a bearer token.",
            "query", "header", "bearer",
        ),
        "basic_login": _field("Basic login", "For basic authentication, where it is not the operator."),
        "basic_password": _secret("Basic password", "The password that goes with it."),
        "reader": _choice(
            "Reader", "Tables by the OData service, or by e.net's query object COMFND.", "odata", "comfnd"
        ),
        "logon_path": _field(
            "Logon path", "Empty: /Utilities/Logon. e.net's REST service has it at /SYSPROWCFService/Rest/Logon."
        ),
        "logoff_path": _field("Logoff path", "Empty: Logoff, beside Logon."),
        "profile_path": _field("Profile path", "Empty: GetLogonProfile, beside Logon."),
        "query_path": _field("Query path", "Of e.net's Query, for the reader comfnd. Empty: by where Logon is."),
        "odata_path": _field(
            "OData path", "With {company} and {table}. Empty: /SYSPRO8Odata/SYSPROOData/{company}/{table}."
        ),
        "strip_token": _switch("Strip the token", "Take spaces off the token; SYSPRO 7 needs them."),
        "paging": _choice("Paging", "By key, or by row number where a server refuses that.", "keyset", "skip"),
        "page_size": _integer("Page size", "Rows per request. Empty: 5000, with COMFND 2000.", minimum=1, maximum=5000),
        "verify": _field("Verify TLS", _VERIFY, default="true"),
        "connect_timeout": _number("Connect timeout", "Seconds for the TCP and TLS handshake.", 10),
        "read_timeout": _number("Read timeout", "Seconds without a byte after which an answer counts as lost.", 120),
        "request_timeout": _number("Request timeout", "Seconds that one request may take over all.", 300),
        "retry_seconds": _number("Patience", "Seconds in which a request is repeated within a task.", 30),
        "max_page_bytes": _integer("Largest answer", "Bytes. Empty: 64 MB.", minimum=1),
        "validate_after": _number("Check the session after", "Seconds of idleness.", 60),
        "max_relogons": _integer("Log-ons", "How often a task may replace a lost session.", default=25, minimum=1),
    },
}  # fmt: skip

BANQUP: dict[str, Any] = {
    "connection-type": "banqup",
    "hook-class-name": "tieout.hooks.banqup.BanqupHook",
    "hook-name": "Banqup",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Base URL", "login": "Client id", "password": "Client secret"},
        "placeholders": {"host": "https://api.btx.eu.banqup.com", "login": "the id that businesses whitelist"},
    },
    "conn-fields": {
        "scope": _field("Scope", "Of the token. Empty: none is asked for."),
        "page_size": _integer("Page size", "Documents per page.", default=50, minimum=1, maximum=50),
        "token_path": _field("Token path", "Empty: /oauth2/client_credential/gettoken."),
        "spaces_path": _field("Spaces path", "Empty: /entitystore/v1/spaces."),
        "documents_path": _field(
            "Documents path", "With {space}. Empty: /datastore/documents/transaction/v2/spaces/{space}/documents."
        ),
        "files_path": _field(
            "Files path", "With {space}. Empty: /datastore/documents/transaction/v1/spaces/{space}/files."
        ),
        "verify": _field("Verify TLS", _VERIFY, default="true"),
        "connect_timeout": _number("Connect timeout", "Seconds for the TCP and TLS handshake.", 10),
        "read_timeout": _number("Read timeout", "Seconds without a byte after which an answer counts as lost.", 60),
        "request_timeout": _number("Request timeout", "Seconds that one request may take over all.", 300),
        "retry_seconds": _number("Patience", "Seconds in which a request is repeated within a task.", 30),
        "max_retry_after": _number("Longest wait", "Seconds that a request waits where Banqup says how long.", 120),
        "max_page_bytes": _integer("Largest answer", "Bytes. Empty: 16 MB.", minimum=1),
        "max_file_bytes": _integer("Largest file", "Bytes. Empty: 100 MB.", minimum=1),
    },
}


def get_provider_info() -> dict[str, Any]:
    """The entry point `apache_airflow_provider`."""
    return {
        "package-name": "tieout",
        "name": "Tieout",
        "description": "Finance integrations in which every run ties out.",
        "versions": [tieout.__version__],
        "connection-types": [SAP_B1, SYSPRO, BANQUP],
        "asset-uris": [
            {
                "schemes": ["tieout"],
                "handler": "tieout.operators.assets.sanitize_uri",
                "to_openlineage_converter": "tieout.operators.assets.to_openlineage",
            }
        ],
    }
