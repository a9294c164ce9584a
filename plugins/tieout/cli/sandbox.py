"""`tieout sandbox up`: the simulators alone."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tieout.errors import ConfigurationInvalid


def up(arguments: argparse.Namespace) -> int:
    """Become `python -m sandbox up`: signals and the terminal then reach the simulators themselves.

    Raises:
        ConfigurationInvalid: The project's folder has no sandbox, as in an installed package.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / "sandbox" / "__main__.py").is_file():
        raise ConfigurationInvalid(f"{root} has no sandbox; run this command from the project's own folder.")
    paths = [str(root / "plugins"), str(root), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "sandbox", "up", *arguments.options], environment)
