"""Namespaces and identifiers of UBL 2.1, EN 16931 and Peppol BIS Billing."""

from __future__ import annotations

from typing import Final

_SCHEMA: Final = "urn:oasis:names:specification:ubl:schema:xsd:"
INVOICE: Final = f"{_SCHEMA}Invoice-2"
CREDIT_NOTE: Final = f"{_SCHEMA}CreditNote-2"
CAC: Final = f"{_SCHEMA}CommonAggregateComponents-2"
CBC: Final = f"{_SCHEMA}CommonBasicComponents-2"
EXT: Final = f"{_SCHEMA}CommonExtensionComponents-2"

# Prefixes to search with. Documents choose their own: nothing here ever matches on theirs.
PREFIXES: Final = {"cac": CAC, "cbc": CBC}
# Prefixes to show people; the two document namespaces have none.
SHOWN: Final = {CAC: "cac:", CBC: "cbc:", EXT: "ext:", INVOICE: "", CREDIT_NOTE: ""}

INVOICE_ROOT: Final = f"{{{INVOICE}}}Invoice"
CREDIT_NOTE_ROOT: Final = f"{{{CREDIT_NOTE}}}CreditNote"

EN16931: Final = "urn:cen.eu:en16931:2017"
BILLING: Final = f"{EN16931}#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
SELF_BILLING: Final = f"{EN16931}#compliant#urn:fdc:peppol.eu:2017:poacc:selfbilling:3.0"
SELF_BILLING_PROFILE: Final = "urn:fdc:peppol.eu:2017:poacc:selfbilling:01:1.0"
