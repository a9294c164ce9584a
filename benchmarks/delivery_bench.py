"""How fast files are delivered: Tieout beside OpenSSH's `sftp` and paramiko, to a real OpenSSH server.

One file of 200 MB over loopback, and 200 files of 20 KB over loopback and over a wire with 10 ms in each direction (a
round trip of 20 ms). Connecting and logging in is part of each way's time, starting the program too for `sftp`.

- **tieout**: written under temporary names, sizes (`size`) or all bytes read back (`read_back`) compared, then renamed;
  many requests at once on one connection. Its digests are computed beforehand, as the pipeline does when it writes.
- **sftp**: `sftp -b` with `put`, straight to the final name, nothing verified.
- **paramiko**: `SFTPClient.put` for each file, which compares the size at the end.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

from benchmarks.measure import Row, progress, ratio, side_by_side, spread
from sandbox.proxy import DelayProxy
from tests.support.sshd import SshServer, ssh_server
from tieout.delivery import DeliveryOptions, OutgoingFile, SftpSession, SftpTarget

TITLE = "Delivery"
LATENCY_MS = 10.0
OWN = {f"tieout, {name}": DeliveryOptions(verification=name) for name in ("read_back", "size")}

Way = Callable[[Path], None]


class _NoJournal:
    """The ledger's part is measured with the whole run."""

    def sending(self, temp_paths: Mapping[int, str]) -> None:
        pass

    def verified(self, verification: Mapping[int, str]) -> None:
        pass


class Delivery:
    """The same local files by each way, each time into a new remote folder."""

    def __init__(self, server: SshServer, port: int, files: list[Path]) -> None:
        self._server, self._port, self._files = server, port, files
        self._described = [(path, path.stat().st_size, _sha256(path)) for path in files]
        self._numbers = itertools.count()

    def _folder(self) -> Path:
        folder = self._server.root / f"{self._port}-{next(self._numbers)}"
        folder.mkdir()
        return folder

    @contextmanager
    def checked(self) -> Iterator[Path]:
        """A new remote folder, looked into and removed at the end."""
        folder = self._folder()
        yield folder
        arrived = {path.name: path.stat().st_size for path in folder.iterdir()}
        if arrived != {path.name: size for path, size, _ in self._described}:
            raise AssertionError(f"Not all files arrived whole: {arrived}")
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

    def tieout(self, folder: Path, options: DeliveryOptions) -> None:
        target = SftpTarget(
            host=self._server.host,
            port=self._port,
            username=self._server.user,
            private_key=self._server.client_key_pem,
            host_keys=(self._server.host_key,),
        )
        files = [
            OutgoingFile(number, path, str(folder / path.name), size, sha256)
            for number, (path, size, sha256) in enumerate(self._described)
        ]
        with SftpSession(target) as session:
            session.deliver(files, options, _NoJournal())

    def sftp(self, folder: Path) -> None:
        known_hosts = self._server.root.parent / f"known_hosts_{self._port}"
        known_hosts.write_text(f"[{self._server.host}]:{self._port} {self._server.host_key}\n", encoding="ascii")
        command = ["sftp", "-q", "-b", "-", "-P", str(self._port), "-i", str(self._server.client_key_file),
                   "-F", "none", "-o", f"UserKnownHostsFile={known_hosts}",
                   f"{self._server.user}@{self._server.host}"]  # fmt: skip
        batch = f"put {self._files[0].parent}/* {folder}/\n"
        subprocess.run(command, input=batch, text=True, check=True, capture_output=True)

    def paramiko(self, folder: Path) -> None:
        import paramiko

        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(self._server.host, self._port, self._server.user,
                           key_filename=str(self._server.client_key_file),
                           allow_agent=False, look_for_keys=False)  # fmt: skip
            with client.open_sftp() as sftp:
                for path in self._files:
                    sftp.put(str(path), str(folder / path.name))

    def ways(self, own: Mapping[str, DeliveryOptions]) -> dict[str, Callable[[], None]]:
        """Name → one delivery; our own ones by their options."""
        ways: dict[str, Way] = {
            **{name: partial(self.tieout, options=options) for name, options in own.items()},
            "sftp -b": self.sftp,
            "paramiko": self.paramiko,
        }
        return {name: self._in_new_folder(way) for name, way in ways.items()}

    def _in_new_folder(self, way: Way) -> Callable[[], None]:
        def work() -> None:
            with self.checked() as folder:
                way(folder)

        return work


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_files(folder: Path, number: int, size: int) -> list[Path]:
    folder.mkdir()
    chance = random.Random(1)
    files = []
    for position in range(number):
        files.append(folder / f"file-{position:04d}.bin")
        with files[-1].open("wb") as file:
            for _ in range(0, size, 1_000_000):
                file.write(chance.randbytes(min(size, 1_000_000)))
    return files


def run(*, quick: bool = False) -> list[Row]:
    """Rows per load and way; `times as long` is the median of the rounds' ratios to Tieout with read-back."""
    rounds = 1 if quick else 3
    large = 20_000_000 if quick else 200_000_000
    number = 20 if quick else 200
    rows: list[Row] = []
    import_module("paramiko")
    with tempfile.TemporaryDirectory() as scratch, ssh_server(Path(scratch) / "sshd") as server:
        one = _make_files(Path(scratch) / "one", 1, large)
        many = _make_files(Path(scratch) / "many", number, 20_000)
        rows += _measured(f"1 file of {large // 1_000_000} MB, loopback", Delivery(server, server.port, one), rounds)
        load = f"{number} files of 20 KB"
        rows += _measured(f"{load}, loopback", Delivery(server, server.port, many), rounds)
        with DelayProxy(server.host, server.port, latency_ms=LATENCY_MS) as proxy:
            rows += _measured(f"{load}, 20 ms round trip", Delivery(server, proxy.port, many), rounds)
    return rows


def _measured(load: str, delivery: Delivery, rounds: int) -> list[Row]:
    progress(load)
    ways = delivery.ways(OWN)
    seconds = side_by_side(ways, rounds)
    return [
        {
            "load": load,
            "way": name,
            **spread(seconds[name]),
            "times as long as tieout, read_back": round(ratio(seconds, name, "tieout, read_back"), 2),
            "as tieout, size": round(ratio(seconds, name, "tieout, size"), 2),
        }
        for name in ways
    ]
