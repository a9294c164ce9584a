"""What Airflow learns from the package: connection types with typed forms."""

from __future__ import annotations

from typing import Any

import tieout


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def get_provider_info() -> dict[str, Any]:
    """The entry point `apache_airflow_provider`."""
    return {
        "package-name": "tieout",
        "name": "Tieout",
        "description": "Finance integrations in which every run ties out.",
        "versions": [tieout.__version__],
        "connection-types": [
            {
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
                    "verify": _field("Verify TLS", "true, false, or the path of a CA file.", default="true"),
                    "page_size": _field(
                        "Page size", "Records per page.", type=["integer", "null"], default=500, minimum=1, maximum=5000
                    ),
                    "language": _field(
                        "Language", "SAP's code for the language of messages; 3 is English.", type=["integer", "null"]
                    ),
                },
            }
        ],
    }
