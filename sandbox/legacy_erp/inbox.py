"""The legacy ERP's inbox: reads what arrives, keeps what it found, says what is wrong, and answers X12 files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.legacy_erp.acknowledgements import Acknowledgement, Acknowledger
from sandbox.legacy_erp.csv_files import read_csv
from sandbox.legacy_erp.findings import Findings
from sandbox.legacy_erp.fixed_width import read_fixed_width
from sandbox.legacy_erp.numbers import NameParts, Numbers, name_parts
from sandbox.legacy_erp.postings import PostingBlock, Postings, posting_totals
from sandbox.legacy_erp.received import Document, Reading, ReceivedFile
from sandbox.legacy_erp.settings import ANSWERS, Settings
from sandbox.legacy_erp.sidecars import Sidecars, data_name, is_sidecar
from sandbox.legacy_erp.x12.reader import read_x12

_READERS: dict[str, Callable[[Path, Reading], None]] = {
    "csv": read_csv,
    "fixed_width": read_fixed_width,
    "x12": read_x12,
}
_TEMPORARY = (".part", ".partial", ".tmp", ".filepart", ".uploading")


class LegacyErpInbox:
    """The receiving side, over the folder that the SFTP server shows as `/`.

    Args:
        root: Holds `inbound/`, where files arrive, and `outbound/acks/`, where answers are put.
        settings: What is agreed with the partner.
        now: The time that answers bear.
        poll_seconds: Loads by itself in this rhythm once started; None loads only when told to.

    Attributes:
        files: What was read, in order; a name that came again stands there again.
        postings: All G/L lines.
        documents: Entity → key → the newest document of that key.
        answers: Acknowledgements that were written.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        poll_seconds: float | None = None,
    ) -> None:
        self.root = root
        self.settings = settings or Settings()
        self.files: list[ReceivedFile] = []
        self.postings = Postings()
        self.documents: dict[str, dict[str, Document]] = {}
        self.answers: list[Acknowledgement] = []
        self.numbers = Numbers()
        self._acknowledger = Acknowledger(self.acks, now, lambda: self.settings.x12_encoding)
        self._seen: dict[str, tuple[int, int]] = {}
        self._by_digest: dict[str, ReceivedFile] = {}
        self._by_name: dict[str, ReceivedFile] = {}
        self._lock = threading.RLock()
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    @property
    def inbound(self) -> Path:
        """Where files arrive."""
        return self.root / "inbound"

    @property
    def acks(self) -> Path:
        """Where answers are put."""
        return self.root / "outbound" / "acks"

    def start(self) -> None:
        """Makes the folders, and starts polling where that was asked for."""
        self.inbound.mkdir(parents=True, exist_ok=True)
        self.acks.mkdir(parents=True, exist_ok=True)
        if self._poll_seconds is not None:
            self._poller = threading.Thread(target=self._poll, name="sandbox-legacy-erp", daemon=True)
            self._poller.start()

    def stop(self) -> None:
        """Ends the polling."""
        self._stopping.set()
        if self._poller is not None:
            self._poller.join(timeout=30)

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.load()

    # -- reading ------------------------------------------------------------------------------------------------------

    def load(self) -> list[ReceivedFile]:
        """Reads every complete file that is new, and returns what it found in each."""
        with self._lock:
            names = self._names()
            loaded = []
            for name in sorted(names.values()):
                path = self.inbound / name
                sidecars = Sidecars(path, self.settings, names)
                if not is_sidecar(name, self.settings) and self._is_new(path) and not sidecars.missing():
                    loaded.append(self._take(path, sidecars))
            return loaded

    def _names(self) -> dict[str, str]:
        """Lower-case name → name of what lies in the folder under a final name."""
        if not self.inbound.is_dir():
            return {}
        files = [path.name for path in self.inbound.iterdir() if path.is_file() and not path.name.startswith(".")]
        return {name.lower(): name for name in files if not name.lower().endswith(_TEMPORARY)}

    def _is_new(self, path: Path) -> bool:
        stat = path.stat()
        return self._seen.get(path.name) != (stat.st_size, stat.st_mtime_ns)

    def _take(self, path: Path, sidecars: Sidecars) -> ReceivedFile:
        stat = path.stat()
        self._seen[path.name] = (stat.st_size, stat.st_mtime_ns)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        earlier = self._by_digest.get(digest)
        if earlier is not None:
            received, findings = self._resent(path.name, earlier), Findings()
        else:
            received, findings = self._read(path, stat.st_size, digest)
            self._by_digest[digest] = received
        sidecars.check(received, findings)
        received.problems = findings.sentences()
        received.unchecked = received.unchecked or findings.unchecked
        self._by_name.setdefault(path.name, received)
        self.files.append(received)
        if received.interchange is not None:
            self.answers += self._acknowledger.answer(path.name, received.interchange, self.settings.answer)
        return received

    def _resent(self, name: str, earlier: ReceivedFile) -> ReceivedFile:
        """The same bytes again, under the same name or another: nothing new for the books."""
        again = ReceivedFile(**{**vars(earlier), "name": name, "status": "resent", "of": earlier.of or earlier.name})
        if earlier.status == "unreadable":
            again.status = "unreadable"
        return again

    def _read(self, path: Path, size: int, digest: str) -> tuple[ReceivedFile, Findings]:
        reading = Reading.begin(path.name, self.settings, self.postings.texts)
        findings = reading.findings
        parts = name_parts(path.name, self.settings, findings)
        if path.name in self._by_name:
            findings.add("The name was used before, by other bytes.")
        elif parts is not None:
            self.numbers.take_file(path.name, parts, self.settings, findings)
        prefixes = {prefix.upper(): entity for prefix, entity in self.settings.prefixes.items()}
        expected = prefixes.get(parts.prefix.upper()) if parts is not None else None
        if parts is not None and expected is None:
            findings.add(f"The prefix {parts.prefix!r} is none of {', '.join(sorted(prefixes))}.")
        reading.entity = expected
        form = detect_format(path, self.settings)
        _READERS[form](path, reading)
        if expected is not None and reading.entity != expected:
            findings.add(f"The name says {expected} and the file holds {reading.entity}.")
        if reading.interchange is not None:
            self.numbers.take_interchange(path.name, reading.interchange, findings)
        received = ReceivedFile(
            name=path.name, entity=reading.entity, format=form, status="read" if reading.is_readable else "unreadable",
            bytes=size, sha256=digest, detail=reading.detail, interchange=reading.interchange,
        )  # fmt: skip
        if parts is not None:
            received.company, received.period, received.sequence = parts.company, parts.period, parts.sequence
        self._keep(reading, received, parts)
        return received, findings

    def _keep(self, reading: Reading, received: ReceivedFile, parts: NameParts | None) -> None:
        """Takes over what could be read."""
        if not reading.is_readable:
            return
        if reading.entity == "gl_postings":
            company = (parts.company if parts is not None else None) or ""
            self._keep_postings(_block(reading, company), reading.findings, received)
            return
        kept = self.documents.setdefault(reading.entity or "unknown", {})
        kept.update((document.key, document) for document in reading.documents)
        received.records = len(reading.documents)
        totals = {currency: str(total) for currency, total in sorted(reading.amounts().items())}
        received.totals = {"amount": totals} if totals else {}
        received.unchecked = reading.findings.unchecked

    def _keep_postings(self, block: PostingBlock, findings: Findings, received: ReceivedFile) -> None:
        block.check_grouping(findings)
        self.postings.add(block, findings)
        totals = posting_totals(block.columns, block.texts).as_dict()
        received.records = totals["lines"]
        received.periods = block.periods()
        received.totals = {name: totals[name] for name in ("debit", "credit", "by_cost_centre")}
        if not received.records:
            findings.add("The file has no postings.")

    # -- what it says -------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> dict[str, list[str]]:
        """Data files that cannot be read yet → what must still come beside them."""
        with self._lock:
            names = self._names()
            found = {}
            for name in sorted(names.values()):
                path = self.inbound / name
                if not is_sidecar(name, self.settings) and self._is_new(path):
                    missing = Sidecars(path, self.settings, names).missing()
                    if missing:
                        found[name] = missing
            return found

    @property
    def problems(self) -> list[str]:
        """All that is wrong now: in the files, with their numbers, and with what lies in the folder half-finished."""
        with self._lock:
            names = self._names()
            known = {name.lower() for name in names.values()} | {file.name.lower() for file in self.files}
            return [
                *(f"{file.name}: {problem}" for file in self.files for problem in file.problems),
                *self.numbers.gaps(self.settings),
                *(f"{name}: there is no {' and no '.join(missing)}." for name, missing in self.waiting.items()),
                *(
                    f"{name}: there is no file of that name without the ending."
                    for name in sorted(names.values())
                    if is_sidecar(name, self.settings) and data_name(name, self.settings) not in known
                ),
            ]

    def file(self, name: str) -> ReceivedFile:
        """The newest reading of a file. Raises KeyError."""
        for received in reversed(self.files):
            if received.name == name:
                return received
        raise KeyError(name)

    def answer(self, name: str, answer: str) -> list[Acknowledgement]:
        """Answers a file that was read, perhaps for the second time.

        Raises:
            KeyError: No file of the name was read.
            ValueError: It is no X12 file, or the answer is unknown.
        """
        with self._lock:
            interchange = self.file(name).interchange
            if interchange is None:
                raise ValueError(f"{name} is no X12 file; only those are answered.")
            if answer not in ANSWERS:
                raise ValueError(f"answer is {answer!r}; it must be one of {', '.join(ANSWERS)}.")
            written = self._acknowledger.answer(name, interchange, answer)
            self.answers += written
            return written

    def summary(self) -> dict[str, Any]:
        """Files, counts and totals, and all problems, as JSON-ready values."""
        with self._lock:
            totals = self.postings.totals().as_dict()
            return {
                "files": [
                    {name: getattr(file, name) for name in ("name", "entity", "format", "status", "records", "totals")}
                    for file in self.files
                ],
                "postings": {name: totals[name] for name in ("lines", "debit", "credit")},
                "documents": {entity: len(found) for entity, found in sorted(self.documents.items())},
                "answers": len(self.answers),
                "waiting": self.waiting,
                "problems": self.problems,
                "unchecked": [f"{file.name}: {sentence}" for file in self.files for sentence in file.unchecked],
            }


def detect_format(path: Path, settings: Settings) -> str:
    """`x12`, `fixed_width` or `csv`: by the first bytes, and where they do not tell, by the name's ending."""
    with path.open("rb") as file:
        start = file.read(3)
    if start == "ISA".encode(settings.x12_encoding):
        return "x12"
    endings = {".csv": "csv", ".dat": "fixed_width", ".edi": "x12", ".x12": "x12"}
    ending = endings.get(path.suffix.lower())
    return ending or ("fixed_width" if start[:1] == "H".encode(settings.fixed_width_encoding) else "csv")


def _block(reading: Reading, company: str) -> PostingBlock:
    if reading.block is None:
        return reading.lines.block(reading.file, company)
    return PostingBlock(reading.block.file, company, reading.block.columns, reading.block.texts)
