from __future__ import annotations

from tieout.ledger import Ledger, Scope

SCOPE = Scope("stampli_to_sap_b1", "default", "vendors")


def test_codes_are_remembered_per_scope_and_the_last_one_counts(ledger: Ledger) -> None:
    many = {f"ST-{number}": f"V{number}" for number in range(1_000)}
    ledger.remember_codes(SCOPE, many)
    ledger.remember_codes(SCOPE, {"ST-7": "V-seven"})
    ledger.remember_codes(SCOPE, {})
    assert ledger.codes(SCOPE, list(many)) == many | {"ST-7": "V-seven"}
    assert ledger.codes(SCOPE, ["ST-7", "nobody"]) == {"ST-7": "V-seven"}
    assert ledger.codes(SCOPE, []) == {}
    assert ledger.codes(Scope("stampli_to_sap_b1", "acme", "vendors"), ["ST-7"]) == {}
