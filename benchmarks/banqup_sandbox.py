"""`python -m benchmarks.banqup_sandbox CLIENTS DOCUMENTS FOLDER`: Banqup and its clients' servers, in a process.

The same numbers make the same documents, all of them sound and wanted. Prints connections and clients as JSON, then
answers each line on stdin with a line of JSON until stdin is closed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Banqup:
    """A running Banqup with its clients' servers.

    Attributes:
        environment: Airflow's connections, by variable.
        instance: Text of an instance file with the clients.
    """

    environment: Mapping[str, str]
    instance: str
    _requests: IO[str]
    _replies: IO[str]

    def connection(self, conn_id: str) -> dict[str, Any]:
        """The fields of a connection."""
        fields: dict[str, Any] = json.loads(self.environment[f"AIRFLOW_CONN_{conn_id.upper()}"])
        return fields

    def one_more_each(self) -> int:
        """Every client gets one more purchase invoice; returns how many those are."""
        return int(self._ask("one_more_each"))

    def missing(self) -> int:
        """How many documents, byte for byte, are not at their clients, or are there more than once."""
        return int(self._ask("missing"))

    def _ask(self, what: str) -> Any:
        print(what, file=self._requests, flush=True)
        return json.loads(self._replies.readline())


@contextmanager
def running(clients: int, documents: int, folder: Path) -> Iterator[Banqup]:
    """Banqup with so many clients, and documents among them; what the clients get is below `folder`."""
    command = [sys.executable, "-m", "benchmarks.banqup_sandbox", str(clients), str(documents), str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            yield Banqup(told["environment"], told["instance"], process.stdin, process.stdout)
        finally:
            process.communicate()


def main(clients: int, documents: int, folder: Path) -> None:
    """Serves."""
    from sandbox.banqup import BanqupSimulator, Mixture

    mixture = Mixture(clients=clients, documents=documents, ineligible=0)
    simulator = BanqupSimulator(folder, mixture, own_servers=0)
    answers = {"one_more_each": _one_more_each, "missing": _missing}
    simulator.start()
    try:
        told = {"environment": simulator.environment(), "instance": simulator.instance_yaml()}
        print(json.dumps(told), flush=True)
        for line in sys.stdin:
            print(json.dumps(answers[line.strip()](simulator)), flush=True)
    finally:
        simulator.stop()


def _one_more_each(simulator: Any) -> int:
    from sandbox.banqup import ubl
    from sandbox.banqup.documents import INVOICE, PURCHASES

    clients = simulator.scenario.clients
    for client in clients:
        serial = len(simulator.documents.documents(client.space_id))
        made = ubl.ubl_document(f"{client.external_id} {serial}", number=f"M-{serial:05d}", shape="plain", max_lines=5)
        simulator.documents.add_document(
            client.space_id, PURCHASES, INVOICE, ubl.render(made), number=made.number,
            issue_date=made.issue_date.isoformat(), counterparty=made.seller.name,
        )  # fmt: skip
    return len(clients)


def _missing(simulator: Any) -> int:
    from sandbox.banqup.receivers import received

    wrong = 0
    for client, expected in simulator.truth().items():
        there = sorted((file.document_id, file.sha256) for file in received(simulator.receivers[client]))
        wanted = sorted((document.document_id, document.sha256) for document in expected)
        wrong += 0 if there == wanted else max(1, len(set(wanted) - set(there)))
    return wrong


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
