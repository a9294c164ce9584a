"""The sandbox as a whole: simulators on free loopback ports, one clock, one control API.

with Sandbox(size="small") as sandbox:
os.environ.update(sandbox.env)          # AIRFLOW_CONN_SAP_B1, AIRFLOW_CONN_PEAKFLO_SFTP, …
sandbox.company.update("BusinessPartners", "C00001", {"CardName": "New name"})
sandbox.faults.add("bad_gateway", path="^Invoices", after=3)
sandbox.inbox.load()
sandbox.stampli.mixed_drop()
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sandbox.banqup.scenario import Mixture
from sandbox.banqup.simulator import PLANTED as BANQUP_PLANTED
from sandbox.banqup.simulator import SIZES as BANQUP_SIZES
from sandbox.banqup.simulator import BanqupSimulator
from sandbox.clock import SandboxClock
from sandbox.control import ControlApi
from sandbox.legacy_erp import LegacyErpSimulator
from sandbox.peakflo import PeakfloInbox
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.data import DEFECTS, Planted, Sizes, generate_company
from sandbox.sap_b1.faults import Faults
from sandbox.sap_b1.simulator import SapB1Simulator
from sandbox.sftp import SftpSandbox, SftpUser
from sandbox.sftp_simulator import PeakfloSftpSimulator
from sandbox.simulator import Simulator
from sandbox.stampli.simulator import StampliSftpSimulator
from sandbox.syspro.books import BookSizes
from sandbox.syspro.simulator import SIZES as SYSPRO_SIZES
from sandbox.syspro.simulator import SysproSimulator


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
    own_companies: tuple[Company, ...]
    sftp_users: tuple[SftpUser, ...]
    time_zone: str

    @cached_property
    def companies(self) -> tuple[Company, ...]:
        """One's own companies, or one that is generated when it is first asked for."""
        return self.own_companies or (
            generate_company(
                self.seed, self.size, country=self.country, planted=self.planted, clock=self.clock,
                time_zone=self.time_zone,
            ),
        )  # fmt: skip


def _syspro_sizes(options: Options) -> BookSizes:
    """By the sandbox's size; the second of the two years is the clock's, so that there is always a closed period."""
    sizes = SYSPRO_SIZES.get(options.size, BookSizes()) if isinstance(options.size, str) else BookSizes()
    return replace(sizes, first_year=max(sizes.first_year, options.clock.now().year - 1))


def _banqup_mixture(options: Options) -> Mixture:
    """By the sandbox's size; bad documents where bad records are asked for."""
    mixture = BANQUP_SIZES.get(options.size, Mixture()) if isinstance(options.size, str) else BANQUP_SIZES["small"]
    return replace(mixture, **BANQUP_PLANTED) if options.planted != Planted() else mixture


REGISTRY: dict[str, Callable[[Options], Simulator]] = {
    "sap_b1": lambda options: SapB1Simulator(list(options.companies), latency_ms=options.latency_ms),
    "peakflo": lambda options: PeakfloInbox(
        options.folder / "peakflo", mode=options.inbox_mode, poll_seconds=options.poll_seconds
    ),
    "peakflo_sftp": lambda options: PeakfloSftpSimulator(options.folder / "peakflo", options.sftp_users),
    "stampli_sftp": lambda options: StampliSftpSimulator(
        options.folder / "stampli", lambda: options.companies[0], options.sftp_users
    ),
    "syspro": lambda options: SysproSimulator(
        _syspro_sizes(options),
        seed=options.seed,
        planted=("unmatched_code",) if options.planted != Planted() else (),
        clock=options.clock,
        latency_ms=options.latency_ms,
    ),
    "legacy_erp": lambda options: LegacyErpSimulator(
        options.folder / "legacy_erp", options.sftp_users, now=options.clock.now, poll_seconds=options.poll_seconds
    ),
    "banqup": lambda options: BanqupSimulator(
        options.folder / "banqup",
        _banqup_mixture(options),
        seed=options.seed,
        clock=options.clock,
        latency_ms=options.latency_ms,
    ),
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
        latency_ms: Added to every reply of the Service Layer, of SYSPRO and of Banqup.
        inbox_mode: Peakflo's: `watch` leaves files in place, `sweep` moves them.
        poll_seconds: Peakflo loads by itself in this rhythm; None: when `inbox.load()` is called.
        companies: Own companies instead of a generated one; the first is `company`.
        sftp_users: Own users of every SFTP server but those of Banqup's clients; the first is in the connection.
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

    @property
    def stampli(self) -> StampliSftpSimulator:
        """Stampli's side: `drop`, `mixed_drop()`, and its SFTP server as `server`."""
        simulator = self.simulators["stampli_sftp"]
        assert isinstance(simulator, StampliSftpSimulator)
        return simulator

    @property
    def syspro(self) -> SysproSimulator:
        """SYSPRO: `books`, and its HTTP server as `server`."""
        simulator = self.simulators["syspro"]
        assert isinstance(simulator, SysproSimulator)
        return simulator

    @property
    def legacy_erp(self) -> LegacyErpSimulator:
        """The legacy ERP: `inbox`, and its SFTP server as `server`."""
        simulator = self.simulators["legacy_erp"]
        assert isinstance(simulator, LegacyErpSimulator)
        return simulator

    @property
    def banqup(self) -> BanqupSimulator:
        """Banqup: `documents`, `truth()`, `receivers`, and its HTTP server as `server`."""
        simulator = self.simulators["banqup"]
        assert isinstance(simulator, BanqupSimulator)
        return simulator
