"""What is remembered of a connection."""

from __future__ import annotations

from tieout.ledger import Ledger


def test_what_is_not_known_is_not_kept(ledger: Ledger) -> None:
    """The hourly look has ended the alerts of a connection and forgotten it; the command still knew of them."""
    ledger.note_connection("bank", {}, {"failures": 1, "told": ["a"]}, event=False, keep=("told",))
    assert ledger.connection_states()["bank"].memory == {"failures": 1}
    ledger.note_connection("bank", {}, {"failures": 2, "told": ["b"]}, event=False)
    ledger.note_connection("bank", {"ok": True}, {"failures": 0, "told": ["a"]}, event=False, keep=("told",))
    state = ledger.connection_states()["bank"]
    assert (state.row, state.memory) == ({"ok": True}, {"failures": 0, "told": ["b"]})
