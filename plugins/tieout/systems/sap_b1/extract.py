"""Extraction of a Service Layer entity set to staged Parquet parts."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

from tieout.errors import ContractBroken
from tieout.odata.entity_read import EntityRead
from tieout.odata.extraction import extract
from tieout.odata.manifest import ExtractManifest
from tieout.staging import Folder
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import UNKNOWN_PROPERTY, SapError

log = logging.getLogger(__name__)

_QUOTED = re.compile(r"'([^']+)'")


def extract_to_parquet(client: SapB1Client, read: EntityRead, folder: Folder, *, workers: int = 4) -> ExtractManifest:
    """Reads an entity set and stages it in `folder`; see `tieout.odata.extraction.extract`.

    A property in `select` that this company's Service Layer does not have is not a reason to fail: the entity is read
    again with all properties, and what does not exist is null.

    Raises:
        ContractBroken: A property of the filter or the key does not exist, or the server contradicts itself.
        SourceUnavailable: The server does not answer within the budget.
        CredentialsRejected: The log-in was refused.
    """
    server_time = client.server_time().isoformat()
    try:
        return extract(client, read, folder, workers=workers, server_time=server_time)
    except SapError as error:
        if error.status != 400 or error.code != UNKNOWN_PROPERTY:
            raise
        whole = _without_select(read, error)
    return extract(client, whole, folder, workers=workers, server_time=server_time)


def _without_select(read: EntityRead, error: SapError) -> EntityRead:
    """The read without `select`, if that is what the server complains about."""
    # The text is localised; only the quoted name in it is looked at.
    named = _QUOTED.findall(error.message)
    in_filter = [name for name in named if re.search(rf"\b{re.escape(name)}\b", read.filter or "") or name == read.key]
    if in_filter:
        raise ContractBroken(
            f"{read.entity_set} in this SAP Business One company has no property {in_filter[0]}, which the filter "
            f"({read.filter or read.key}) needs. Correct the filter or the change columns of this entity."
        ) from None
    if read.select is None:
        raise error
    unknown = [name for name in named if name in read.select]
    log.warning(
        "%s has no property %s in this company; it is read again with all properties, and missing ones stay empty",
        read.entity_set, ", ".join(unknown) or "of the selection",
    )  # fmt: skip
    return replace(read, select=None)
