"""`tieout check`: each connection that the instances use."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tieout.cli.airflow_home import use_airflow
from tieout.cli.output import note, print_json, print_table, stdout_for_the_answer
from tieout.config import include_folder
from tieout.health import CHECKS, ConnectionHealth, Finding, Probe, connections_in_use, look_at_all, rounds
from tieout.health.model import label_of
from tieout.health.policy import HealthConfig, load_health
from tieout.ledger_url import ledger_url


def check(arguments: argparse.Namespace) -> int:
    """Look at every connection at once, each on its own thread; 1 if anything failed.

    A look at all connections is kept in the ledger, so that `--last`, the Tieout page and the DAG `connection_health`
    know of it. Somebody who asks for it may also try a log-in that was refused.
    """
    if arguments.last:
        return _show_last(arguments)
    used = connections_in_use(include_folder(), integration=arguments.integration, instance=arguments.instance)
    config = load_health()
    if not used:
        note(f"No enabled instance in {include_folder() / 'integrations'} fits; only the ledger is checked.")
    with stdout_for_the_answer():
        use_airflow()
        from tieout.hooks.connection_checks import ledger_probe, probe_of

        ledger = ledger_probe().look()
        probes = [probe_of(use, config) for use in used]
        keep = ledger.ok and arguments.integration is None and arguments.instance is None
        found = [ledger, *_look(probes, config, keep=keep)]
    _print([health.as_json() for health in found], ("connection", "type", *CHECKS, "used_by"), arguments.json)
    return 0 if all(health.ok for health in found) else 1


def _look(probes: Sequence[Probe], config: HealthConfig, *, keep: bool) -> Iterable[ConnectionHealth]:
    from tieout.hooks.connection_checks import looking
    from tieout.ledger import Ledger

    how = looking(config, also_refused=True)
    if not keep:
        return _healths(look_at_all(probes, {}, how))
    with Ledger.open(ledger_url()) as ledger:
        findings = look_at_all(probes, ledger.connection_states(), how)
        rounds.note(ledger, findings, told=False)
    return _healths(findings)


def _healths(findings: Sequence[Finding]) -> Iterable[ConnectionHealth]:
    return [finding.health for finding in findings]


def _show_last(arguments: argparse.Namespace) -> int:
    """How the connections in use were when they were last looked at; nobody is talked to."""
    from tieout.ledger import Ledger

    used = connections_in_use(include_folder(), integration=arguments.integration, instance=arguments.instance)
    names = {use.conn_id for use in used}
    with stdout_for_the_answer(), Ledger.open(ledger_url()) as ledger:
        states = [state for state in ledger.connection_states().values() if state.row["connection"] in names]
    rows = [{**state.row, "checked_at": state.checked_at.isoformat()} for state in states]
    missing = names - {row["connection"] for row in rows}
    if missing:
        note(f"Never looked at: {', '.join(sorted(missing))}. Run bin/tieout check, or the DAG connection_health.")
    _print(rows, ("connection", "type", *CHECKS, "checked_at", "used_by"), arguments.json)
    return 0 if all(row["ok"] for row in rows) else 1


def _print(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    labels = [label_of(row["connection"], row["server"]) for row in rows]
    print_table([{**row, "connection": label} for row, label in zip(rows, labels, strict=True)], columns)
    for row, label in zip(rows, labels, strict=True):
        for name, message in row["messages"].items():
            print(f"{label}, {name.replace('_', ' ')}, {row[name]}: {message}")
