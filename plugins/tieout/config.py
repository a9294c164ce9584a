"""The integrations' YAML files, typed.

One file per instance: `include/integrations/<dag_id>/<instance>.yaml`. DAG files import this module, so it stays
light: the standard library, pydantic and PyYAML, nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tieout.errors import ConfigurationInvalid, TieoutError
from tieout.yaml_file import load_yaml

INSTANCE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,40}")


def include_folder() -> Path:
    """The folder with mappings, integrations and calendars: `TIEOUT_INCLUDE`, else `include/` of the project."""
    configured = os.environ.get("TIEOUT_INCLUDE", "")
    return Path(configured).absolute() if configured else Path(__file__).resolve().parents[2] / "include"


def is_production() -> bool:
    """Whether a missing host key is an error (`TIEOUT_ENV`, default production)."""
    return os.environ.get("TIEOUT_ENV", "production").lower() != "development"


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{name!r} is no time zone of the IANA database; write one such as Europe/Brussels") from None
    return name


def _octal(value: object) -> object:
    """A file mode is written in octal, with quotes; YAML would otherwise read 0664 as a number of its own."""
    if isinstance(value, str) and re.fullmatch(r"0?o?[0-7]{3,4}", value):
        return int(value.replace("o", ""), 8)
    raise ValueError('a mode is three or four octal digits in quotes, such as "0664"')


TimeZone = Annotated[str, AfterValidator(_time_zone)]
Mode = Annotated[int, BeforeValidator(_octal)]


class Strict(BaseModel):
    """A section of a YAML file in which an unknown key is a mistake, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Retries(Strict):
    """How Airflow repeats a task after an outage; errors that a retry cannot cure stop at once whatever stands here."""

    count: int = Field(default=2, ge=0, le=20)
    first_delay_seconds: float = Field(default=15, gt=0)
    multiplier: float = Field(default=2.0, ge=1)
    max_delay_seconds: float = Field(default=600, gt=0)


class IntegrationConfig(Strict):
    """What every integration's instance says: when it runs and how it retries."""

    enabled: bool = True
    schedule: str | None = "0 0 * * *"
    timezone: TimeZone = "UTC"
    start_date: date = date(2020, 1, 1)
    retries: Retries = Retries()
    tags: tuple[str, ...] = ()


class SourceAndTarget(Strict):
    """Airflow connection ids."""

    source: str
    target: str


class SftpFolder(Strict):
    """Where and how files land at a partner."""

    root: str = "/inbound"
    file_name: str = "{entity}_{instance}_{timestamp}_{seq:04d}.csv"
    file_mode: Mode = 0o664
    directory_mode: Mode = 0o755
    create_directories: bool = True
    verification: Literal["auto", "size", "server_hash", "read_back"] = "auto"


class SapB1Source(Strict):
    """How much of SAP Business One a run reads."""

    lookback_days: int = Field(default=3, ge=0, le=366)
    payment_window_days: int = Field(default=90, ge=0, le=3660)
    parallel_ranges: int = Field(default=4, ge=1, le=16)
    local_currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")


class ExportedEntity(Strict):
    """One kind of record that goes from SAP Business One to a partner.

    `continuous` entities are read by what changed; `once` entities are sent by the first run and again only by
    `full_refresh`.
    """

    enabled: bool = True
    mode: Literal["continuous", "once"] = "continuous"
    after: tuple[str, ...] = ()
    mapping: str | None = None


class SapB1Export(IntegrationConfig):
    """Records of SAP Business One that land as files in a partner's folder."""

    connections: SourceAndTarget
    source: SapB1Source = SapB1Source()
    target: SftpFolder = SftpFolder()
    entities: dict[str, ExportedEntity]

    @model_validator(mode="after")
    def _entities_follow_those_they_need(self) -> SapB1Export:
        seen: list[str] = []
        for name, entity in self.entities.items():
            for needed in entity.after:
                if needed not in seen:
                    raise ValueError(
                        f"entities.{name} comes after {needed!r}, which must stand above it in the list of entities"
                    )
            seen.append(name)
        return self

    def enabled_entities(self) -> dict[str, ExportedEntity]:
        """The entities to read, in the order of delivery."""
        return {name: entity for name, entity in self.entities.items() if entity.enabled}


class SapB1ToPeakflo(SapB1Export):
    """`include/integrations/sap_b1_to_peakflo/<instance>.yaml`."""

    connections: SourceAndTarget = SourceAndTarget(source="sap_b1", target="peakflo_sftp")


class Collect(Strict):
    """How files are taken from a partner's folder.

    A file is taken when its size and time are the same in two looks `settle_seconds` apart, or when its trigger file
    is there. What is still growing after `patience_seconds` is left for the next run.
    """

    folder: str = Field(default="/outbound", pattern="^/")
    archive: str = Field(default="/outbound/archive/{year}/{month}", pattern="^/")
    patterns: tuple[str, ...] = ("*.csv", "*.xml")
    complete_when: Literal["stable", "trigger_file"] = "stable"
    trigger_suffix: str = ".done"
    settle_seconds: float = Field(default=5, ge=0, le=3600)
    patience_seconds: float = Field(default=30, ge=0, le=86400)
    wait_seconds: float = Field(default=0, ge=0, le=86400)
    max_file_bytes: int = Field(default=200_000_000, gt=0)


class Posting(Strict):
    """How entries are posted to SAP Business One.

    Attributes:
        streams: Requests under way at once; SAP numbers its journal in one sequence, so more rarely helps.
        batch_size: Entries in one `$batch` request, each in a change set of its own; 1 posts one by one.
        settle_seconds: After a reply was lost and the entry was not found: wait so long, look again, then decide.
        on_change: An invoice that changes after it was posted is held for a person, or reversed and posted anew.
        payments: Post them, or only record that they were seen.
        wait_seconds: How long a run waits for another one that posts to the same company.
    """

    streams: int = Field(default=1, ge=1, le=8)
    batch_size: int = Field(default=25, ge=1, le=100)
    settle_seconds: float = Field(default=1.0, ge=0, le=60)
    on_change: Literal["hold", "repost"] = "hold"
    payments: Literal["post", "record_only"] = "post"
    wait_seconds: float = Field(default=900, ge=0, le=86400)


class HeldRetry(Strict):
    """When scheduled runs try a held record again: every time at first, ever more rarely after `eager_attempts`.

    Runs that a person triggers try every held record.
    """

    eager_attempts: int = Field(default=8, ge=0)
    first_delay_minutes: float = Field(default=15, gt=0)
    max_delay_minutes: float = Field(default=360, gt=0)


class FinanceDigest(Strict):
    """The one mail per run about held records; while `to` is empty it is only written to the task's log.

    Attributes:
        connection: Airflow's connection to the mail server.
        sender: The address it comes from; by default the connection's.
        base_url: Airflow's address as finance reaches it, for links.
    """

    connection: str = "smtp_default"
    to: tuple[str, ...] = ()
    sender: str | None = None
    base_url: str | None = None


class StampliToSapB1(IntegrationConfig):
    """`include/integrations/stampli_to_sap_b1/<instance>.yaml`."""

    schedule: str | None = "*/15 * * * *"
    connections: SourceAndTarget = SourceAndTarget(source="stampli_sftp", target="sap_b1")
    company_id: str | None = None
    local_currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    collect: Collect = Collect()
    posting: Posting = Posting()
    held: HeldRetry = HeldRetry()
    finance: FinanceDigest = FinanceDigest()
    purchase_orders: bool = False
    purchase_order_folder: SftpFolder = SftpFolder()
    purchase_order_source: SapB1Source = SapB1Source()

    def enabled_entities(self) -> tuple[str, ...]:
        """What a run works on, in order: an invoice waits for its vendor."""
        return ("vendors", "invoices", "payments", *(("purchase_orders",) if self.purchase_orders else ()))


C = TypeVar("C", bound=IntegrationConfig)


@dataclass(frozen=True)
class Instance(Generic[C]):
    """One integration for one tenant or partner: a DAG of its own."""

    integration: str
    name: str
    config: C
    path: Path

    @property
    def dag_id(self) -> str:
        """`default` gives the DAG its plain id, any other instance adds its name."""
        return self.integration if self.name == "default" else f"{self.integration}__{self.name}"


@dataclass(frozen=True)
class BrokenInstance:
    """An instance whose file cannot be read; its DAG exists and says so, and the others go on."""

    integration: str
    name: str
    error: TieoutError

    @property
    def dag_id(self) -> str:
        """The id the DAG would have had."""
        return self.integration if self.name == "default" else f"{self.integration}__{self.name}"


def load_instance(integration: str, name: str, model: type[C]) -> Instance[C]:
    """Read one instance's file.

    Raises:
        ConfigurationInvalid: the file is missing or wrong; says file, line and key.
    """
    path = include_folder() / "integrations" / integration / f"{name}.yaml"
    if not INSTANCE_NAME.fullmatch(name):
        raise ConfigurationInvalid(
            f"{path}: the instance name {name!r} may hold only a-z, 0-9 and _ (41 characters at most); rename the file."
        )
    if not path.exists():
        raise ConfigurationInvalid(
            f"{path} does not exist; create it, or set TIEOUT_INCLUDE to the folder that has it."
        )
    return Instance(integration, name, load_yaml(path).validate(model), path)


def instances(integration: str, model: type[C]) -> Iterator[Instance[C] | BrokenInstance]:
    """Every enabled instance of an integration, by file name; one broken file never hides the others."""
    folder = include_folder() / "integrations" / integration
    for path in sorted(folder.glob("*.yaml")):
        try:
            instance = load_instance(integration, path.stem, model)
        except TieoutError as error:
            yield BrokenInstance(integration, path.stem, error)
            continue
        if instance.config.enabled:
            yield instance


def split_dag_id(dag_id: str) -> tuple[str, str]:
    """`(integration, instance)` of a DAG id."""
    integration, _, name = dag_id.partition("__")
    return integration, name or "default"
