"""What holds for a whole run: the instance, its calendar, the company, the files it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tieout.calendars import Calendar, load_calendar
from tieout.config import LegacyErpEntity, SysproToLegacyErp, include_folder
from tieout.formats.fixed_width import FixedWidthSpec
from tieout.integrations.run import Run
from tieout.integrations.syspro_to_legacy_erp.gl.rules import GlRules, load_gl_rules
from tieout.integrations.syspro_to_legacy_erp.gl.writers import Facts
from tieout.integrations.syspro_to_legacy_erp.naming import file_name, partner_clock, resent_name
from tieout.integrations.syspro_to_legacy_erp.plan import named_period
from tieout.ledger import Scope
from tieout.mapping.loader import find_mapping, load_mapping, load_yaml_or_encrypted
from tieout.mapping.model import EntityMapping

HIGHEST_CONTROL_NUMBER = 999_999_999


@dataclass(frozen=True)
class Setup:
    """A run's surroundings.

    Attributes:
        run: The run.
        config: The instance.
        calendar: Its close calendar.
        company: The company's code at the partner.
        test_content: Whether the data are a test's, and must never be announced as real.
    """

    run: Run
    config: SysproToLegacyErp
    calendar: Calendar
    company: str
    test_content: bool

    @classmethod
    def of(cls, run: Run, config: SysproToLegacyErp, company: str, *, test_content: bool) -> Setup:
        """With the calendar that the instance names.

        Raises:
            ConfigurationInvalid: The calendar is missing or wrong.
        """
        calendar = load_calendar(config.calendar)
        return cls(run, config, calendar, config.partner.company or company, test_content)

    @property
    def partner(self) -> Scope:
        """Whose numbers are used: shared by all instances that send to this partner."""
        return Scope(self.run.integration, "*", self.config.partner_name)

    @property
    def mappings(self) -> Path:
        """The folder of the mapping files."""
        return include_folder() / "mappings" / self.run.integration

    def entity(self, name: str) -> LegacyErpEntity:
        """What the instance says of an entity."""
        return self.config.enabled_entities()[name]

    def made(self) -> datetime:
        """The run's time by the partner's clock, naive as headers show it."""
        return partner_clock(self.run, self.config.partner, self.calendar.file.timezone)

    def gl_rules(self) -> GlRules:
        """How G/L codes become cost centres and accounts.

        Raises:
            ConfigurationInvalid: A file is missing or wrong.
        """
        return load_gl_rules(self.mappings)

    def mapping(self, name: str) -> EntityMapping:
        """The mapping of a document entity, plain or encrypted.

        Raises:
            ConfigurationInvalid: It is missing or wrong; says file, line and key.
        """
        return load_mapping(find_mapping(self.mappings, name))

    def record_spec(self, name: str) -> FixedWidthSpec:
        """The record spec of an entity, plain or encrypted.

        Raises:
            ConfigurationInvalid: It is missing or wrong; says file, line and key.
        """
        path = find_mapping(self.mappings / "record_specs", str(self.entity(name).record_spec))
        return load_yaml_or_encrypted(path).validate(FixedWidthSpec)

    def facts(self, code: str, *, replaces: bool, account_names: dict[str, str] | None = None) -> Facts:
        """What a file of a period says of itself."""
        period = named_period(code, self.calendar)
        return Facts(
            company=self.company,
            company_name=self.config.partner.company_name or self.company,
            partner_name=self.config.partner.partner_name,
            code=code,
            period_start=period.first_day,
            period_end=period.last_day,
            currency=self.config.source.currency,
            made=self.made(),
            replaces=replaces,
            account_names=account_names or {},
            test_content=self.test_content,
        )

    def check(self) -> None:
        """Read every file that the instance names, so that a mistake shows before SYSPRO is asked.

        Raises:
            ConfigurationInvalid: One of them is wrong; says file, line and key.
        """
        for name, entity in self.config.enabled_entities().items():
            if name == "gl_postings":
                self.gl_rules()
            else:
                self.mapping(name)
            if entity.format == "fixed_width":
                self.record_spec(name)
            resent_name(self.config.partner, self.file_name(name, "202601", 1), 1)

    def file_name(self, name: str, period: str, number: int) -> str:
        """What a data file of an entity is called at the partner.

        Raises:
            ConfigurationInvalid: The template is wrong, or the name is longer than the partner takes.
        """
        return file_name(
            self.config.partner,
            name,
            self.entity(name),
            company=self.company,
            period=period,
            seq=number,
            made=self.made(),
            instance=self.run.instance,
        )
