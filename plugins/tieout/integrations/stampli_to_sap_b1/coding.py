"""A line's coding, from Stampli's values to SAP's codes: account, cost centres, project, tax code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tieout.integrations.stampli_to_sap_b1.checks import Findings, line_name, mapping_missing, text
from tieout.integrations.stampli_to_sap_b1.references import References, TaxCode
from tieout.integrations.stampli_to_sap_b1.rules import Dimension, DimensionProperty
from tieout.mapping.cross_reference import CrossReference, Match

MISSING_ACCOUNT = "MISSING_ACCOUNT"
UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
INACTIVE_ACCOUNT = "INACTIVE_ACCOUNT"
UNKNOWN_COST_CENTRE = "UNKNOWN_COST_CENTRE"
INACTIVE_COST_CENTRE = "INACTIVE_COST_CENTRE"
UNKNOWN_PROJECT = "UNKNOWN_PROJECT"
INACTIVE_PROJECT = "INACTIVE_PROJECT"
UNKNOWN_TAX_CODE = "UNKNOWN_TAX_CODE"

_RETRIED = "; the record is tried again by itself."


@dataclass(frozen=True)
class Coding:
    """SAP's codes of one line.

    Attributes:
        account: The internal account code.
        tax: The tax code, with an account where the cross-reference gives it one; None when there is none.
        properties: `CostingCode…` and `ProjectCode`.
    """

    account: str
    tax: Match | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Coder:
    """Translates and checks codes against what SAP has.

    Attributes:
        cross_references: By name.
        dimensions: `CostingCode…` → where its value comes from.
        references: What SAP has.
        day: The posting date, `YYYY-MM-DD`.
        found: Takes the problems.
    """

    cross_references: Mapping[str, CrossReference]
    dimensions: Mapping[DimensionProperty, Dimension]
    references: References
    day: str
    found: Findings

    def lines(self, lines: Sequence[Mapping[str, Any]]) -> list[Coding | None]:
        """The coding of an invoice's lines, each as `line`."""
        return [self.line(line, line_name(line, position)) for position, line in enumerate(lines)]

    def line(self, line: Mapping[str, Any], name: str) -> Coding | None:
        """The coding of an invoice line; None when its account is not usable."""
        properties: dict[str, str] = {}
        for target, dimension in self.dimensions.items():
            code = self.cost_centre(target, dimension, text(line, dimension.column), name)
            if code:
                properties[target] = code
        project = self.project(text(line, "project"), name)
        if project:
            properties["ProjectCode"] = project
        tax = self.tax_code(text(line, "tax_code"), name)
        account = self.account("gl_account", self.match("accounts", "gl_account", text(line, "gl_account"), name), name)
        if account is None:
            return None
        return Coding(account, tax, properties)

    def match(self, cross_reference: str, column: str, value: str, line: str = "") -> Match:
        """A value by its cross-reference; MAPPING_MISSING where an entry is needed and there is none."""
        table = self.cross_references[cross_reference]
        match = table.match(value)
        if match.missing:
            mapping_missing(table.file_name, column, match.value, line, self.found)
        return match

    def account(self, column: str, match: Match, line: str = "") -> str | None:
        """The internal code of an account that can be posted to on the posting date."""
        if match.code is None:
            if not match.missing:
                self.found.add(
                    MISSING_ACCOUNT,
                    "it has no G/L account.",
                    "In Stampli, code the line to a G/L account and export the invoice again.",
                    line=line,
                )
            return None
        account = self.references.account(match.code)
        if account is None:
            self.found.add(
                UNKNOWN_ACCOUNT,
                f"SAP Business One has no G/L account {match.shown()} (`{column}`).",
                "In SAP Business One, Financials > Chart of Accounts, create the account; or correct it in Stampli and "
                f"export again; or add an entry to the cross-references{_RETRIED}",
                line=line,
            )
            return None
        if not account.active_on(self.day):
            self.found.add(
                INACTIVE_ACCOUNT,
                f"the G/L account {match.shown()} (`{column}`) is a title, inactive or on hold on {self.day}.",
                "In SAP Business One, Financials > Chart of Accounts, Account Details, make the account active; or "
                f"code the line to another one in Stampli and export again{_RETRIED}",
                line=line,
            )
            return None
        return account.code

    def cost_centre(self, target: DimensionProperty, dimension: Dimension, value: str, line: str) -> str | None:
        """The distribution rule for a `CostingCode…`, or None."""
        match = self.match(dimension.cross_reference, dimension.column, value, line)
        known = self.references.cost_centres
        if match.code is None or known is None:
            return match.code
        number = int(target.removeprefix("CostingCode") or 1)
        centre = known.get(match.code)
        if centre is None or centre.dimension not in (0, number):
            why = f"in dimension {number}" if centre is None else f"in dimension {number}, but in {centre.dimension}"
            self.found.add(
                UNKNOWN_COST_CENTRE,
                f"SAP Business One has no cost centre {match.shown()} (`{dimension.column}`) {why}.",
                "In SAP Business One, Financials > Cost Accounting > Cost Centers, create it; or correct it in Stampli "
                f"and export again; or add an entry to the cross-references{_RETRIED}",
                line=line,
            )
            return None
        if not centre.active:
            self.found.add(
                INACTIVE_COST_CENTRE,
                f"the cost centre {match.shown()} (`{dimension.column}`) is inactive.",
                "In SAP Business One, Financials > Cost Accounting > Cost Centers, make it active; or choose "
                f"another one in Stampli and export again{_RETRIED}",
                line=line,
            )
            return None
        return centre.code

    def project(self, value: str, line: str) -> str | None:
        """The project, or None."""
        match = self.match("projects", "project", value, line)
        known = self.references.projects
        if match.code is None or known is None:
            return match.code
        project = known.get(match.code)
        if project is None:
            self.found.add(
                UNKNOWN_PROJECT,
                f"SAP Business One has no project {match.shown()}.",
                "In SAP Business One, Administration > Setup > Financials > Projects, create it; or correct it in "
                f"Stampli and export again; or add an entry to the cross-references{_RETRIED}",
                line=line,
            )
            return None
        if not project.valid_on(self.day):
            self.found.add(
                INACTIVE_PROJECT,
                f"the project {match.shown()} is inactive or not valid on the posting date {self.day}.",
                "In SAP Business One, Administration > Setup > Financials > Projects, extend or activate it; or choose "
                f"another one in Stampli and export again{_RETRIED}",
                line=line,
            )
            return None
        return project.code

    def tax_code(self, value: str, line: str) -> Match | None:
        """The tax code, or None when there is none or it is not usable."""
        match = self.match("tax_codes", "tax_code", value, line)
        known = self.references.tax_codes
        if match.code is None or known is None:
            return match if match.code else None
        code = known.get(match.code)
        if code is None or not code.active:
            self.found.add(
                UNKNOWN_TAX_CODE,
                f"SAP Business One has no tax code {match.shown()}"
                f"{' that is in use; it is inactive' if code is not None else ''}.",
                "In SAP Business One, Administration > Setup > Financials > Tax, create or activate it; or correct it "
                f"in Stampli and export again; or add an entry to the cross-references{_RETRIED}",
                line=line,
            )
            return None
        return match

    def known_tax(self, code: str) -> TaxCode | None:
        """What SAP says of a tax code."""
        return (self.references.tax_codes or {}).get(code)
