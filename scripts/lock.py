"""Rebuild the lock files: `make lock`.

Each lock is a full closure with hashes, valid for every supported Python. Development runs exactly the versions of
requirements.lock. Production starts from them and departs only where one of its providers insists, as the AWS SDK does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILE = ("pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--quiet")
# Source, result, how the run-time lock bears on it.
LOCKS = (
    ("requirements.txt", "requirements.lock", "free"),
    ("requirements-dev.txt", "requirements-dev.lock", "constrained"),
    ("requirements-production.txt", "requirements-production.lock", "preferred"),
    ("requirements-uv.txt", "requirements-uv.lock", "free"),
)


def main() -> int:
    """Compile all of them; stops at the first that cannot be resolved."""
    own = ROOT / ".venv" / "bin" / "uv"
    uv = shutil.which("uv") or (str(own) if own.exists() else "")
    if not uv:
        print(
            "lock: uv is needed: .venv/bin/python -m pip install --require-hashes -r requirements-uv.lock",
            file=sys.stderr,
        )
        return 1
    for source, result, relation in LOCKS:
        print(f"{source} -> {result}", flush=True)
        constraints = ("-c", "requirements.lock") if relation == "constrained" else ()
        if relation == "preferred":
            # uv keeps what the output file already says wherever it can.
            shutil.copyfile(ROOT / "requirements.lock", ROOT / result)
        done = subprocess.run([uv, *COMPILE, *constraints, source, "-o", result], cwd=ROOT, check=False)
        if done.returncode != 0:
            return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
