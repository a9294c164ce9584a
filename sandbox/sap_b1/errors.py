"""The Service Layer's errors: HTTP status, code and message as the reference gives them, in both roots' shapes."""

from __future__ import annotations

import json

from sandbox.http_server import Reply

INVALID_SESSION = "Invalid session or session already timeout."
LOGIN_FAILED = "Fail to NONE-SSO login from SLD."
NOT_FOUND = "No matching records found (ODBC -2028)"


class ServiceLayerError(Exception):
    """An error the Service Layer answers with.

    Attributes:
        status: HTTP status.
        code: SAP's error code.
        message: SAP's text, verbatim where a public sample exists.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid_property(name: str) -> ServiceLayerError:
    """400/201 for a property that the entity does not have."""
    return ServiceLayerError(400, 201, f"Property '{name}' is invalid")


def invalid_filter() -> ServiceLayerError:
    """400/201 for a `$filter` that cannot be read."""
    return ServiceLayerError(400, 201, "Query string error - Invalid filter condition")


def invalid_option(option: str) -> ServiceLayerError:
    """400/201 for another query option that cannot be read."""
    return ServiceLayerError(400, 201, f"Query string error - Invalid {option}")


def invalid_expand(name: str, type_name: str) -> ServiceLayerError:
    """400/201 for an expand of something that is no navigation property."""
    return ServiceLayerError(
        400, 201, f"Cannot expand invalid navigation property '{name}' for entity type '{type_name}'"
    )


def unrecognized_path() -> ServiceLayerError:
    """400 for a resource path that names no entity set."""
    return ServiceLayerError(400, 200, "Unrecognized resource path.")


def unsupported_action() -> ServiceLayerError:
    """400/-5006 for a verb that the object does not take."""
    return ServiceLayerError(400, -5006, "The requested action is not supported for this object.")


def no_matching_record() -> ServiceLayerError:
    """404/-2028 for a key that does not exist."""
    return ServiceLayerError(404, -2028, NOT_FOUND)


def invalid_session() -> ServiceLayerError:
    """401/301 for a missing, unknown or expired session, and for any unauthenticated path."""
    return ServiceLayerError(401, 301, INVALID_SESSION)


def refused(code: int, message: str) -> ServiceLayerError:
    """400 for a business rule that a posting breaks."""
    return ServiceLayerError(400, code, message)


def unknown_property(name: str, type_name: str) -> ServiceLayerError:
    """400/-1000 for a property in a body that its type does not have."""
    return refused(-1000, f"Property '{name}' of '{type_name}' is invalid")


def invalid_body() -> ServiceLayerError:
    """400/-1000 for a body that is no JSON object."""
    return refused(-1000, "Invalid JSON format")


def incomplete_batch() -> ServiceLayerError:
    """400/-1000 for a batch that cannot be taken apart."""
    return refused(-1000, "Incomplete Batch Request Body!")


def invalid_value(value: object, name: str, valid: dict[str, str] | None = None) -> ServiceLayerError:
    """400/-1004 for a value of the wrong type, or of an enumeration that does not have it."""
    choices = ", ".join(f"'{code}' - '{member}'" for member, code in (valid or {}).items())
    tail = f" The valid values are: {choices}" if choices else ""
    return refused(-1004, f"'{value}' is not a valid value for property '{name}'.{tail}")


def value_too_long(name: str, type_name: str) -> ServiceLayerError:
    """400/-1000 for a text that does not fit into its column."""
    return refused(
        -1000, f"CServiceData::SetPropertyValueString failed; Value too long in property '{name}' of '{type_name}'"
    )


def field_not_updatable() -> ServiceLayerError:
    """400/-1029 for a property that cannot change any more."""
    return refused(-1029, "Field cannot be updated")


def changed_meanwhile() -> ServiceLayerError:
    """412/-2039 for an `If-Match` that is not the record's ETag any more."""
    return ServiceLayerError(
        412, -2039,
        "Another user or another operation modified data; to continue, open the window again (ODBC -2039)",
    )  # fmt: skip


def no_such_key(key: object) -> ServiceLayerError:
    """404/-2028 for a change of a record that does not exist."""
    return ServiceLayerError(404, -2028, f"Entity with value('{key}') does not exist")


def reference_not_found() -> ServiceLayerError:
    """400/-2028: something that a posting refers to is missing, or an approval procedure made a draft of it."""
    return refused(-2028, NOT_FOUND)


def rate_missing(currency: str) -> ServiceLayerError:
    """400/-4006 for a day without an exchange rate."""
    return refused(-4006, f"Update the exchange rate , '{currency}'")


def content_type(version: str) -> str:
    """Content type of a root's JSON."""
    flavour = "odata=minimalmetadata" if version == "v1" else "odata.metadata=minimal"
    return f"application/json;{flavour};charset=utf-8"


def version_header(version: str) -> tuple[str, str]:
    """The header by which a root names its OData version."""
    return ("DataServiceVersion", "3.0") if version == "v1" else ("OData-Version", "4.0")


def error_reply(error: ServiceLayerError, version: str, *, shape: str | None = None) -> Reply:
    """An error in the shape of a root; `shape` overrides it, for servers that answer v2's form on v1."""
    if (shape or version) == "v1":
        content: dict[str, object] = {"code": error.code, "message": {"lang": "en-us", "value": error.message}}
    else:
        content = {
            "code": str(error.code),
            "message": error.message,
            "details": [{"code": "", "message": ""}],
        }
    body = json.dumps({"error": content}, ensure_ascii=False, indent="\t", separators=(",", " : ")).encode()
    return Reply(error.status, [("Content-Type", content_type(version)), version_header(version)], body)


def html_reply(status: int, title: str) -> Reply:
    """What the balancer answers when a node is gone."""
    body = (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n'
        f"<html><head>\n<title>{status} {title}</title>\n</head><body>\n<h1>{title}</h1>\n"
        "<p>The proxy server received an invalid\r\nresponse from an upstream server.<br />\r\n</p>\n</body></html>\n"
    )
    return Reply(status, [("Content-Type", "text/html; charset=iso-8859-1")], body.encode())
