"""How fast invoices go through the official rules: Tieout's warm processes beside a new validation for each document.

Sound Peppol invoices through the UBL 2.1 schema, the EN 16931 rules and the Peppol BIS rules, the same files of
schemas and rules for every way: with 5 lines, with 100 lines, and with a PDF of 200 kB inside.

- **tieout**: the pool of validating processes as `validate` has it, warm, with one worker (Tieout's own process and
  the worker share one core) or two (all cores).
- **tieout, from the start**: one document by a pool that has yet to start: Python, schemas, both sets of rules.
- **peppol-py**: `validate_peppol_document` with all three, in one process that has imported it; it reads the schema
  and compiles the rules for each document. One core.
- **a process per document**: a script of lxml and saxonche, started anew for each. One core.

`factur-x` is not beside them: of UBL it checks the schema alone, and leaves the rules to a Saxon server.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.measure import Row, progress, ratio, side_by_side, spread
from sandbox.banqup import ubl
from sandbox.banqup.ubl.model import Attachment
from tieout.formats.ubl import ValidatorFailed, ValidatorPool

TITLE = "Validation"
ROOT = Path(__file__).resolve().parents[1]
PDF_BYTES = 200_000
OWN = "tieout, 1 worker"
WARM_UP = 20


def invoice(number: int, lines: int, pdf_bytes: int = 0) -> bytes:
    """A sound invoice with so many lines; its number is its seed."""
    made = ubl.ubl_document(f"benchmark {number}", number=f"2026-{number:05d}", shape="plain")
    repeated = (made.lines * lines)[:lines]
    numbered = tuple(replace(line, id=str(position)) for position, line in enumerate(repeated, 1))
    pdf = b"%PDF-1.7\n" + Random(number).randbytes(pdf_bytes)
    attached = (Attachment("1", "factuur.pdf", pdf),) if pdf_bytes else ()
    return ubl.render(replace(made, lines=numbered, attachments=attached))


@contextmanager
def one_core() -> Iterator[None]:
    """This thread, and what threads and processes it starts meanwhile, on one core; where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        progress("this system cannot keep a process to one core; the ways take what they get")
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def with_pool(pool: ValidatorPool, files: Sequence[Path]) -> int:
    """How many of the documents break a rule.

    Raises:
        ValidatorFailed: One could not be judged.
    """
    invalid = 0
    for _, verdict in pool.validate((file.name, file.read_bytes) for file in files):
        if isinstance(verdict, ValidatorFailed):
            raise verdict
        invalid += verdict.fatal
    return invalid


def from_the_start(files: Sequence[Path]) -> int:
    """How many break a rule, by a pool of its own."""
    with ValidatorPool(workers=1) as pool:
        return with_pool(pool, files)


def one_process_each(files: Sequence[Path]) -> int:
    """How many break a rule, each document in a process of its own."""
    return sum(_alone("saxonche", [file]) for file in files)


def with_peppol_py(files: Sequence[Path]) -> tuple[float, int]:
    """Seconds without the start of the process, and how many break a rule."""
    printed = _run("peppol_py", files)
    return float(printed[0]), int(printed[1])


def _alone(way: str, files: Sequence[Path]) -> int:
    return int(_run(way, files)[1])


def _run(way: str, files: Sequence[Path]) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.validation_others", way, *map(str, files)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def _sound(work: Callable[[], int]) -> None:
    if found := work():
        raise AssertionError(f"All documents must be valid; {found} are not.")


def _pinned(work: Callable[[], int]) -> None:
    with one_core():
        _sound(work)


class _Files:
    """Invoices of one kind, as files."""

    def __init__(self, folder: Path, count: int, lines: int, pdf_bytes: int = 0) -> None:
        folder.mkdir()
        self.all = [folder / f"invoice-{number:05d}.xml" for number in range(count)]
        for number, file in enumerate(self.all):
            file.write_bytes(invoice(number, lines, pdf_bytes))


def run(*, quick: bool = False) -> list[Row]:
    """Rows per load and way; `times as long` is per document, beside one warm worker."""
    rounds = 1 if quick else 3
    loads = {
        "5 lines": (6, 5, 0) if quick else (300, 5, 0),
        "100 lines": (3, 100, 0) if quick else (40, 100, 0),
        "5 lines, PDF of 200 kB": (3, 5, PDF_BYTES) if quick else (100, 5, PDF_BYTES),
    }
    few = 2 if quick else 5
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        with one_core():
            one = stack.enter_context(ValidatorPool(workers=1))
        two = stack.enter_context(ValidatorPool(workers=2))
        for number, (load, size) in enumerate(loads.items()):
            files = _Files(Path(scratch) / str(number), *size).all
            _pinned(partial(with_pool, one, files[:WARM_UP]))
            _sound(partial(with_pool, two, files[:WARM_UP]))
            rows += _measured(load, one, two, files, few, rounds)
    return rows


def _measured(
    load: str, one: ValidatorPool, two: ValidatorPool, files: Sequence[Path], few: int, rounds: int
) -> list[Row]:
    progress(load)
    peppol_py: list[float] = []

    def by_peppol_py() -> None:
        with one_core():
            took, invalid = with_peppol_py(files[:few])
        _sound(lambda: invalid)
        peppol_py.append(took)

    ways: dict[str, tuple[int, Callable[[], object]]] = {
        OWN: (len(files), partial(_pinned, partial(with_pool, one, files))),
        "tieout, 2 workers": (len(files), partial(_sound, partial(with_pool, two, files))),
        "tieout, from the start": (1, partial(_pinned, partial(from_the_start, files[:1]))),
        "peppol-py": (few, by_peppol_py),
        "a process per document": (few, partial(_pinned, partial(one_process_each, files[:few]))),
    }
    seconds = side_by_side({name: work for name, (_, work) in ways.items()}, rounds)
    seconds["peppol-py"] = peppol_py
    each = {name: [took / ways[name][0] for took in times] for name, times in seconds.items()}
    return [
        {
            "invoices with": load,
            "way": name,
            "documents": count,
            **spread(seconds[name]),
            "documents/s": round(count / sorted(seconds[name])[len(seconds[name]) // 2], 1),
            "times as long": round(ratio(each, name, OWN), 1),
        }
        for name, (count, _) in ways.items()
    ]
