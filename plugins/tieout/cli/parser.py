"""The commands and their options. Imports nothing of what the commands do."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

Command = Callable[[argparse.Namespace], int]
Subparsers = Any  # argparse keeps the class private


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command and its options; what is unknown is an error, except where another program's options follow."""
    parser = build_parser()
    arguments, further = parser.parse_known_args(argv)
    if further and "options" not in arguments:
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    if further:
        arguments.options = further
    return arguments


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="tieout", description="Finance integrations in which every run ties out.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_lists(commands)
    _add_quality(commands)
    _add_replay(commands)
    _add_trace(commands)
    _add_preview(commands)
    _add_check(commands)
    _add_mapping(commands)
    _add_sandbox(commands)
    return parser


def _later(module: str, function: str) -> Command:
    """A command whose module is imported when it runs."""

    def run(arguments: argparse.Namespace) -> int:
        command: Command = getattr(importlib.import_module(f"tieout.cli.{module}"), function)
        return command(arguments)

    return run


def _add(commands: Subparsers, name: str, help_text: str, run: Command | None) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text[:1].upper() + help_text[1:] + ".", allow_abbrev=False
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    narrow = parser.add_argument_group("filters")
    narrow.add_argument("--integration", metavar="NAME", help="such as sap_b1_to_peakflo")
    narrow.add_argument("--instance", metavar="NAME", help="such as default")
    narrow.add_argument("--entity", metavar="NAME", help="such as invoices")
    narrow.add_argument("--run-id", metavar="ID", help="Airflow's run id")
    narrow.add_argument(
        "--since", metavar="WHEN", type=moment, help="ISO date or date and time; UTC unless it has an offset"
    )


def _add_lists(commands: Subparsers) -> None:
    for name, help_text in (
        ("runs", "list runs and whether they tie out"),
        ("files", "list files and what was proved of their delivery"),
        ("held", "list held records, show one, or discard one"),
    ):
        parser = _add(commands, name, help_text, _later("lists", f"list_{name}"))
        _add_json(parser)
        _add_filters(parser)
        parser.add_argument("--status", metavar="STATUS", help="only rows in this status")
        parser.add_argument("--limit", metavar="N", type=positive, help="at most N rows")
        if name == "held":
            _add_held(parser)


def _add_quality(commands: Subparsers) -> None:
    parser = _add(commands, "quality", "list expectations that batches did not meet", _later("quality", "quality"))
    parser.add_argument("--all", action="store_true", help="also those that were met")
    _add_json(parser)
    _add_filters(parser)


def _add_held(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=False)
    show = _add(actions, "show", "print the original payload of a held record", _later("held", "show"))
    discard = _add(actions, "discard", "give a held record up, for a reason", _later("held", "discard"))
    for action in (show, discard):
        action.add_argument("id", metavar="ID", type=positive, help="the number that `tieout held` lists")
        # `held --json show 5` has set it already; a default of its own would undo that.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="all of it as JSON")
    discard.add_argument("--why", metavar="REASON", required=True, help="kept in the record's history")


def _add_replay(commands: Subparsers) -> None:
    parser = _add(commands, "replay", "run an integration again over its held records", _later("replay", "replay"))
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", metavar="ID", type=positive, action="append", dest="ids", help="may be given repeatedly")
    which.add_argument("--all", action="store_true", help="everything held that the filters leave")
    parser.add_argument("--now", action="store_true", help="run in the foreground instead of triggering the scheduler")
    _add_filters(parser)
    _add_json(parser)


def _add_trace(commands: Subparsers) -> None:
    parser = _add(commands, "trace", "tell everything known of one record", _later("trace", "trace"))
    parser.add_argument("key", metavar="KEY", help="source key, invoice number, file name or held id")
    _add_json(parser)


def _add_preview(commands: Subparsers) -> None:
    parser = _add(commands, "preview", "show what would be sent, writing nothing", _later("preview", "preview"))
    parser.add_argument("dag_id", metavar="DAG_ID", help="such as sap_b1_to_peakflo")
    parser.add_argument("--entity", metavar="NAME", required=True, help="such as invoices")
    parser.add_argument("--limit", metavar="N", type=positive, default=10, help="records to read, by default 10")
    _add_json(parser)


def _add_check(commands: Subparsers) -> None:
    parser = _add(commands, "check", "check each connection that the instances use", _later("check", "check"))
    parser.add_argument("--integration", metavar="NAME", help="only this one's connections")
    parser.add_argument("--instance", metavar="NAME", help="only this instance's connections")
    parser.add_argument("--last", action="store_true", help="how they were when last looked at; talks to nobody")
    _add_json(parser)


def _add_mapping(commands: Subparsers) -> None:
    parser = _add(commands, "mapping", "validate, encrypt, decrypt or explain mapping files", None)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    validate = _add(actions, "validate", "check mapping files", _later("mapping", "validate"))
    validate.add_argument("files", metavar="FILE", nargs="*", help="by default all of include/mappings")
    _add_json(validate)
    lineage = _add(actions, "lineage", "list the source of everything that is written", _later("mapping", "lineage"))
    lineage.add_argument("files", metavar="FILE", nargs="*", help="by default all of include/mappings")
    lineage.add_argument("--integration", metavar="NAME", help="such as sap_b1_to_peakflo")
    lineage.add_argument("--entity", metavar="NAME", help="such as invoices")
    shape = lineage.add_mutually_exclusive_group()
    _add_json(shape)
    shape.add_argument("--picture", action="store_true", help="a Mermaid flowchart instead of a table")
    for name, help_text in (
        ("encrypt", "write FILE.enc with TIEOUT_MAPPING_KEY and remove FILE"),
        ("decrypt", "write the plain file of FILE.enc and remove FILE.enc"),
        ("rotate", "encrypt FILE.enc anew with the newest key of TIEOUT_MAPPING_KEY"),
    ):
        action = _add(actions, name, help_text, _later("mapping", name))
        action.add_argument("files", metavar="FILE", nargs="+")


def _add_sandbox(commands: Subparsers) -> None:
    parser = _add(commands, "sandbox", "the simulated outside systems", None)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    up = _add(actions, "up", "start them and print `export AIRFLOW_CONN_…` lines, until Ctrl-C", None)
    up.set_defaults(run=_later("sandbox", "up"))
    up.epilog = "Further options are those of `python -m sandbox up --help`."
    up.set_defaults(options=[])


def moment(text: str) -> datetime:
    """An ISO date or date and time as aware UTC; without an offset it is UTC already."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO date such as 2026-01-31 or 2026-01-31T08:00Z") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def positive(text: str) -> int:
    """A whole number above zero."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)
