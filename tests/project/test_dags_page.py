"""docs/DAGS.md says what the DAGs say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "dags_page.py"


def test_the_page_of_the_dags_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_dag_file_is_on_the_page() -> None:
    page = (ROOT / "docs" / "DAGS.md").read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / "dags").glob("*.py") if f"`dags/{path.name}`" not in page]
    assert not missing
