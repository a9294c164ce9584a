"""The sandbox as a whole: simulators on free loopback ports, one clock, one control API.

with Sandbox(size="small") as sandbox:
os.environ.update(sandbox.env)          # AIRFLOW_CONN_SAP_B1, AIRFLOW_CONN_PEAKFLO_SFTP, …
sandbox.company.update("BusinessPartners", "C00001", {"CardName": "New name"})
sandbox.faults.add("bad_gateway", path="^Invoices", after=3)
sandbox.inbox.load()
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox.clock import SandboxClock
from sandbox.control import ControlApi
from sandbox.peakflo import PeakfloInbox
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.data import DEFECTS, Planted, Sizes, generate_company
from sandbox.sap_b1.faults import Faults
from sandbox.sap_b1.simulator import SapB1Simulator
from sandbox.sftp import SftpSandbox, SftpUser
from sandbox.simulator import NotHandled, Simulator


@dataclass(frozen=True)
class Options:
    """What a sandbox is made of; see `Sandbox`."""

    size: Sizes | str
    seed: int
    country: str
    planted: Planted
    folder: Path
    clock: SandboxClock
    latency_ms: float
    inbox_mode: str
    poll_seconds: float | None
    companies: tuple[Company, ...]
    sftp_users: tuple[SftpUser, ...]
    time_zone: str


class PeakfloSftpSimulator:
    """The SFTP server in front of Peakflo's inbox."""

    name = "peakflo_sftp"

    def __init__(self, root: Path, users: tuple[SftpUser, ...] = ()) -> None:
        self.server = SftpSandbox(root, list(users) or None)

    def start(self) -> None:
        """Starts serving."""
        self.server.start()

    def stop(self) -> None:
        """Stops serving."""
        self.server.stop()

    def environment(self) -> dict[str, str]:
        """`AIRFLOW_CONN_PEAKFLO_SFTP`, host key pinned."""
        user = next(iter(self.server.users.values()))
        connection = {
            "conn_type": "sftp", "host": self.server.host, "port": self.server.port, "login": user.name,
            "password": user.password, "extra": {"host_key": self.server.host_key},
        }  # fmt: skip
        return {"AIRFLOW_CONN_PEAKFLO_SFTP": json.dumps(connection)}

    def state(self) -> dict[str, Any]:
        """Log-ins, bytes and faults."""
        server = self.server
        return {
            "port": server.port,
            "root": str(server.root),
            "statistics": asdict(server.statistics),
            "faults": asdict(server.faults),
        }

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control path `faults`: GET, PATCH with the fields of `SftpFaults`, DELETE to heal."""
        match method, path:
            case "GET", []:
                return self.state()
            case "GET" | "PATCH", ["faults"]:
                return self.server.configure(**(body or {}))
            case "DELETE", ["faults"]:
                self.server.heal()
                return {}
        raise NotHandled


def _sap_b1(options: Options) -> SapB1Simulator:
    companies = list(options.companies) or [
        generate_company(
            options.seed, options.size, country=options.country, planted=options.planted, clock=options.clock,
            time_zone=options.time_zone,
        )
    ]  # fmt: skip
    return SapB1Simulator(companies, latency_ms=options.latency_ms)


REGISTRY: dict[str, Callable[[Options], Simulator]] = {
    "sap_b1": _sap_b1,
    "peakflo": lambda options: PeakfloInbox(
        options.folder / "peakflo", mode=options.inbox_mode, poll_seconds=options.poll_seconds
    ),
    "peakflo_sftp": lambda options: PeakfloSftpSimulator(options.folder / "peakflo", options.sftp_users),
}
"""Name → how to make the simulator, in the order they start. A further outside system adds its own line."""


class Sandbox:
    """All simulators, started together and stopped together.

    Args:
        size: `small`, `demo`, `large`, or a `Sizes`.
        seed: Same seed, same books.
        country: `EU` (VatGroups) or `US` (SalesTaxCodes).
        planted: Bad records among the invoices; `True` plants one of each kind, `False` none.
        folder: Where received files land, kept afterwards; a temporary folder, removed at the end, by default.
        clock: Time of all simulators.
        latency_ms: Added to every reply of the Service Layer.
        inbox_mode: Peakflo's: `watch` leaves files in place, `sweep` moves them.
        poll_seconds: Peakflo loads by itself in this rhythm; None: when `inbox.load()` is called.
        companies: Own companies instead of a generated one; the first is `company`.
        sftp_users: Own users; the first is the one in the connection.
        time_zone: The generated company's.
        control_port: Port of the control API; 0 takes a free one.
        only: Names of the simulators to start; all by default.
    """

    def __init__(
        self,
        *,
        size: Sizes | str = "small",
        seed: int = 1,
        country: str = "EU",
        planted: Planted | bool = False,
        folder: Path | None = None,
        clock: SandboxClock | None = None,
        latency_ms: float = 0.0,
        inbox_mode: str = "watch",
        poll_seconds: float | None = None,
        companies: tuple[Company, ...] = (),
        sftp_users: tuple[SftpUser, ...] = (),
        time_zone: str = "UTC",
        control_port: int = 0,
        only: tuple[str, ...] | None = None,
    ) -> None:
        self.clock = clock or (companies[0].clock if companies else SandboxClock())
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="tieout-sandbox-"))
        defects = planted if isinstance(planted, Planted) else DEFECTS if planted else Planted()
        options = Options(
            size, seed, country, defects, self.folder, self.clock, latency_ms, inbox_mode, poll_seconds, companies,
            sftp_users, time_zone,
        )  # fmt: skip
        self.simulators: dict[str, Simulator] = {
            name: make(options) for name, make in REGISTRY.items() if only is None or name in only
        }
        self.control = ControlApi(self.simulators, self.clock, port=control_port)

    def start(self) -> Sandbox:
        """Starts everything; what had started is stopped again when something cannot."""
        try:
            for simulator in self.simulators.values():
                simulator.start()
            self.control.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops everything, in reverse order, and removes the temporary folder."""
        self.control.stop()
        for simulator in reversed(self.simulators.values()):
            simulator.stop()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """Environment variables by which integrations find the simulators, and the control API's URL."""
        variables: dict[str, str] = {}
        for simulator in self.simulators.values():
            variables.update(simulator.environment())
        return {**variables, "TIEOUT_SANDBOX_CONTROL": self.control.url}

    @property
    def sap(self) -> SapB1Simulator:
        """The Service Layer; its HTTP server is `sap.server`."""
        simulator = self.simulators["sap_b1"]
        assert isinstance(simulator, SapB1Simulator)
        return simulator

    @property
    def company(self) -> Company:
        """The books integrations read."""
        return self.sap.company

    @property
    def faults(self) -> Faults:
        """The Service Layer's faults and settings."""
        return self.sap.server.faults

    @property
    def inbox(self) -> PeakfloInbox:
        """Peakflo's receiving side."""
        simulator = self.simulators["peakflo"]
        assert isinstance(simulator, PeakfloInbox)
        return simulator

    @property
    def sftp(self) -> SftpSandbox:
        """The SFTP server in front of Peakflo."""
        simulator = self.simulators["peakflo_sftp"]
        assert isinstance(simulator, PeakfloSftpSimulator)
        return simulator.server
