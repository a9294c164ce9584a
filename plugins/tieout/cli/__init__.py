"""`bin/tieout`: what ran, what was sent, what is held, and why.

Every list command takes `--json` (one JSON document on stdout) and the filters `--integration --instance --entity
--run-id --since`. Exit codes: 0 done, 1 failed, 2 the command or the configuration is wrong. What goes wrong is one
sentence on stderr.

Neither Airflow nor pandas is imported until a command needs it, so that looking something up takes a moment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tieout.cli.parser import parse
from tieout.errors import ConfigurationInvalid, TieoutError

DONE = 0
FAILED = 1
USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    try:
        arguments = parse(argv)
    except SystemExit as stop:  # argparse has printed its usage or its help already
        return int(stop.code or DONE)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return int(code)
    except ConfigurationInvalid as error:
        return _say(error, USAGE)
    except TieoutError as error:
        return _say(error, FAILED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return 130


def _say(error: Exception, code: int) -> int:
    print(f"tieout: {error}", file=sys.stderr)
    return code
