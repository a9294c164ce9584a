"""`python -m sandbox up`: the simulators alone, until Ctrl-C, TERM, stdin closed or the parent gone."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from sandbox.lifetime import Lifetime
from sandbox.sap_b1.data import SIZES
from sandbox.world import REGISTRY, Sandbox


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="sandbox", description="Simulated ERPs, SaaS and an SFTP server on loopback.")
    up = parser.add_subparsers(dest="command", required=True).add_parser("up", help="start the simulators and wait")
    up.add_argument("--size", choices=sorted(SIZES), default="demo", help="how many records (default: %(default)s)")
    up.add_argument("--seed", type=int, default=1, help="same seed, same records (default: %(default)s)")
    up.add_argument("--country", choices=["EU", "US"], default="EU", help="VAT groups or sales tax codes")
    up.add_argument("--planted", action="store_true", help="plant one bad invoice of each kind")
    up.add_argument("--host-latency", type=float, default=0.0, metavar="MS", help="added to every ERP reply")
    up.add_argument("--folder", type=Path, help="where received files land, kept afterwards (default: temporary)")
    up.add_argument("--inbox", choices=["watch", "sweep"], default="watch", help="whether taken files are moved away")
    up.add_argument("--poll", type=float, default=1.0, metavar="SECONDS", help="how often received files are loaded")
    up.add_argument("--only", action="append", choices=sorted(REGISTRY), help="start only this simulator (repeatable)")
    up.add_argument("--json", action="store_true", help="print one JSON object instead of export lines")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    lifetime = Lifetime()
    options = build_parser().parse_args(arguments)
    sandbox = Sandbox(
        size=options.size, seed=options.seed, country=options.country, planted=options.planted, folder=options.folder,
        latency_ms=options.host_latency, inbox_mode=options.inbox, poll_seconds=options.poll,
        only=tuple(options.only) if options.only else None,
    )  # fmt: skip
    with sandbox:
        if options.json:
            print(json.dumps(sandbox.env), flush=True)
        else:
            for name, value in sandbox.env.items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
        reason = lifetime.wait()
    print(f"sandbox stopped: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
