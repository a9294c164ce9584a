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
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tieout.errors import ConfigurationInvalid, TieoutError
from tieout.formats.x12.profile import X12Profile
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


def _limit(value: object) -> object:
    """Money is exact: YAML reads 10000.10 as a float, which is not."""
    if isinstance(value, bool | float):
        raise ValueError('write an amount in quotes, such as "10000" or "10000.50"')
    return value


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


Limit = Annotated[Decimal, BeforeValidator(_limit), Field(ge=0)]
CurrencyOrAny = Annotated[str, Field(pattern=r"^([A-Z]{3}|\*)$")]


class SecondPerson(Strict):
    """Held records of large amounts are replayed or discarded only when a second person agrees.

    Attributes:
        above: Currency → the largest amount, in units of that currency and without its sign, that one person decides
            alone; `*` stands for all other currencies. A currency without a limit, and a record whose amount is not
            known, need a second person: nobody can tell that they are small.
        applies_to: What needs a second person.
        answer_within_hours: A question that nobody answers for so long is closed, and nothing happens.
        valid_hours: An agreement is good for so long: the run that it is for must begin to read within that time.
    """

    above: dict[CurrencyOrAny, Limit] = Field(min_length=1)
    applies_to: tuple[Literal["replay", "discard"], ...] = Field(default=("replay", "discard"), min_length=1)
    answer_within_hours: float = Field(default=24, gt=0, le=744)
    valid_hours: float = Field(default=24, gt=0, le=744)

    def is_needed(self, action: Literal["replay", "discard"], currency: str | None, amount: Decimal | None) -> bool:
        """Whether one person alone may not do this with a record of this amount."""
        if action not in self.applies_to:
            return False
        limit = self.above.get(currency or "", self.above.get("*"))
        return amount is None or currency is None or limit is None or abs(amount) > limit


class Deadline(Strict):
    """By when a run has to be done; who is told when it is not, is in `include/alerts.yaml`.

    Attributes:
        hours: Hours after the run was queued, which for a run at a close is the close.
    """

    hours: float = Field(gt=0, le=744)


class IntegrationConfig(Strict):
    """What every integration's instance says: when it runs, how it retries, what needs a second person."""

    enabled: bool = True
    schedule: str | None = "0 0 * * *"
    timezone: TimeZone = "UTC"
    start_date: date = date(2020, 1, 1)
    retries: Retries = Retries()
    second_person: SecondPerson | None = None
    deadline: Deadline | None = None
    tags: tuple[str, ...] = ()


class SourceAndTarget(Strict):
    """Airflow connection ids."""

    source: str
    target: str


class Placing(Strict):
    """How files are put in place at a partner."""

    file_mode: Mode = 0o664
    directory_mode: Mode = 0o755
    create_directories: bool = True
    verification: Literal["auto", "size", "server_hash", "read_back"] = "auto"


class SftpFolder(Placing):
    """Where and how files land at a partner."""

    root: str = "/inbound"
    file_name: str = "{entity}_{instance}_{timestamp}_{seq:04d}.csv"


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


class SysproSource(Strict):
    """How SYSPRO's books are read.

    Attributes:
        currency: The company's local currency, in which its G/L is kept.
        late_periods: Periods before the run's own that are read again, if they were sent before: what was posted into
            them since goes in a supplementary file.
        overlap_days: Days before the newest document seen that are read again: business dates are no change dates.
        posted_journals: Values of `GenJournalCtl.JnlStatus` that mean posted.
        posted_entries: Values of `GenJournalDetail.EntryPosted` that mean posted.
        debit_is: The sign of a debit in `EntryValue`.
    """

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    late_periods: int = Field(default=2, ge=0, le=60)
    overlap_days: int = Field(default=62, ge=0, le=3660)
    posted_journals: tuple[str, ...] = Field(default=("P",), min_length=1)
    posted_entries: tuple[str, ...] = Field(default=("Y",), min_length=1)
    debit_is: Literal["positive", "negative"] = "positive"


class PartnerCsv(Strict):
    """How a partner wants CSV: RFC 4180 unless said otherwise."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    line_end: Literal["\r\n", "\n"] = "\r\n"
    quoting: Literal["needed", "all"] = "needed"
    header: bool = True
    encoding: str = "utf-8"
    decimal_mark: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _can_be_read_back(self) -> PartnerCsv:
        if self.delimiter in '"\r\n' or self.delimiter.isalnum():
            raise ValueError(f"the delimiter {self.delimiter!r} cannot separate anything; write one such as , or ;")
        try:
            "0".encode(self.encoding)
        except LookupError:
            raise ValueError(f"{self.encoding!r} is no encoding; write one such as utf-8 or cp1252") from None
        return self


FileSuffix = Annotated[str, Field(pattern=r"^\.[A-Za-z0-9._-]{1,30}$")]


class LegacyErpPartner(Strict):
    """What a partner demands of names, numbers and formats.

    Attributes:
        name: Sequence and control numbers are one row per partner name; by default the target connection's id.
        company: What file names and headers call the company; by default the connection's `company_id`.
        company_name: The company's name, for X12 (N1*FR, N1*BY).
        partner_name: The partner's name, for X12 (N1*TO).
        file_name: Template over `prefix company period year month seq ext date time entity instance`; `period` is
            YYYYPP, `date` and `time` are those of the run.
        upper_case: File names in capitals.
        max_name_length: A longer file name is an error.
        checksum_suffix: A file `<name><suffix>` with the SHA-256 goes after the data; none where empty.
        manifest_suffix: A file `<name><suffix>` with the control totals goes after that.
        trigger_suffix: An empty file `<name><suffix>` goes last; none where empty.
        resend_name: The name of a file that is sent again, over `name stem ext resend`.
        time_zone: Whose clock dates and times in names and headers follow; by default the calendar's.
        csv: How CSV is written.
        x12: The agreement on X12 (`tieout.formats.x12.profile.X12Profile`); needed where an entity's format is x12.
    """

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,60}$")
    company: str | None = Field(default=None, min_length=1)
    company_name: str | None = Field(default=None, min_length=1)
    partner_name: str = Field(default="LEGACY ERP", min_length=1)
    file_name: str = "{prefix}_{company}_{period}_{seq:06d}.{ext}"
    upper_case: bool = False
    max_name_length: int = Field(default=64, ge=8, le=200)
    checksum_suffix: FileSuffix | None = None
    manifest_suffix: FileSuffix = ".manifest.json"
    trigger_suffix: FileSuffix | None = None
    resend_name: str = "{name}"
    time_zone: TimeZone | None = None
    csv: PartnerCsv = PartnerCsv()
    x12: X12Profile | None = None


class LegacyErpEntity(Strict):
    """One kind of record that goes to the partner.

    Attributes:
        format: How its files are written.
        prefix: What file names begin with.
        ext: Their ending; by default csv, dat or edi.
        read: How documents are found: `window` reads those dated since the last run, less `overlap_days`; `full` reads
            all of them and compares what they say.
        record_spec: For fixed width: a file of the mapping's folder `record_specs`.
        gl_set: For G/L as X12: 830 or 821, where it is not the profile's.
    """

    enabled: bool = True
    format: Literal["csv", "fixed_width", "x12"] = "csv"
    prefix: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,30}$")
    ext: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]{1,12}$")
    read: Literal["window", "full"] | None = None
    record_spec: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,60}$")
    gl_set: Literal["830", "821"] | None = None


class AckFolder(Strict):
    """Where the partner puts its acknowledgements (997, 999, TA1), and what happens when none comes.

    Attributes:
        folder: The partner's folder.
        patterns: Names of the files that are acknowledgements.
        archive: Where they are moved when they have been read; null leaves them.
        overdue_hours: A file without an answer for so long is overdue.
        every_minutes: How often the folder is looked at.
        alert: Mail about rejected and overdue files.
    """

    folder: str = Field(default="/outbound/acks", pattern="^/")
    patterns: tuple[str, ...] = ("*.edi", "*.x12", "*.997", "*.999", "*.txt")
    archive: str | None = Field(default="/outbound/acks/archive/{year}/{month}", pattern="^/")
    overdue_hours: float = Field(default=24, gt=0, le=8760)
    every_minutes: int = Field(default=15, ge=1, le=60)
    alert: FinanceDigest = FinanceDigest()


LEGACY_ERP_ENTITIES: dict[str, LegacyErpEntity] = {
    "gl_postings": LegacyErpEntity(format="fixed_width", prefix="GL", record_spec="gl_fixed_width"),
    "invoices": LegacyErpEntity(prefix="INV", read="window"),
    "purchase_orders": LegacyErpEntity(prefix="PO", read="full"),
    "suppliers": LegacyErpEntity(prefix="SUP", read="full"),
    "items": LegacyErpEntity(prefix="ITEM", read="full"),
}
"""The entities in the order of delivery, with what holds where an instance says nothing."""


class SysproToLegacyErp(IntegrationConfig):
    """`include/integrations/syspro_to_legacy_erp/<instance>.yaml`.

    Runs come at the closes of `calendar`; `schedule` is only for switching that off (null) or for a cron expression
    instead. Documents of the first run start from `start_date`, where the file says one.
    """

    schedule: str | None = "close"
    calendar: str = "calendar_months"
    connections: SourceAndTarget = SourceAndTarget(source="syspro", target="legacy_erp_sftp")
    source: SysproSource = SysproSource()
    partner: LegacyErpPartner = LegacyErpPartner()
    target: SftpFolder = SftpFolder()
    entities: dict[Literal["gl_postings", "invoices", "purchase_orders", "suppliers", "items"], LegacyErpEntity] = (
        Field(default_factory=dict)
    )
    acknowledgements: AckFolder | None = None

    @model_validator(mode="after")
    def _formats_have_what_they_need(self) -> SysproToLegacyErp:
        for name, entity in self.enabled_entities().items():
            if entity.format == "fixed_width" and entity.record_spec is None:
                raise ValueError(f"entities.{name}: fixed_width needs `record_spec`, a file of the folder record_specs")
            if entity.format != "x12":
                continue
            if name == "suppliers":
                raise ValueError("entities.suppliers: there is no X12 set for suppliers; write csv or fixed_width")
            if self.partner.x12 is None:
                raise ValueError(f"entities.{name}: x12 needs the agreement with the partner under partner.x12")
            if name == "gl_postings" and not (entity.gl_set or self.partner.x12.gl_set):
                raise ValueError(
                    "entities.gl_postings: say which set carries G/L postings, gl_set: 830 or 821; neither is a "
                    "standard use, so there is no default"
                )
        return self

    def enabled_entities(self) -> dict[str, LegacyErpEntity]:
        """The entities to send, in the order of delivery, with what holds where the file says nothing."""
        found: dict[str, LegacyErpEntity] = {}
        for name, default in LEGACY_ERP_ENTITIES.items():
            given = self.entities.get(name)  # type: ignore[call-overload]
            if given is None and self.entities:
                continue
            entity = default if given is None else default.model_copy(update=given.model_dump(exclude_unset=True))
            if entity.enabled:
                found[name] = entity
        return found

    @property
    def partner_name(self) -> str:
        """Whose sequence and control numbers are used."""
        return self.partner.name or self.connections.target


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


def dag_id_of(integration: str, instance: str) -> str:
    """The DAG of an instance."""
    return integration if instance == "default" else f"{integration}__{instance}"


def split_dag_id(dag_id: str) -> tuple[str, str]:
    """`(integration, instance)` of a DAG id."""
    integration, _, name = dag_id.partition("__")
    return integration, name or "default"
