"""Values that cannot stand in their field, and what else is worth telling about the details that were written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tieout.errors import BadRecord
from tieout.formats.fixed_width.field_spec import FieldSpec


@dataclass(frozen=True)
class Misfit:
    """One value that does not fit.

    Attributes:
        row: Its row in the record batch, from 0.
        record: The kind of record, `detail` for instance.
        field: The field's name.
        reason_code: `VALUE_TOO_WIDE`, `TOO_MANY_DECIMALS`, `NEGATIVE_NOT_ALLOWED`, `NOT_A_NUMBER`, `NOT_A_DATE`,
            `VALUE_MISSING` or `CHARACTER_NOT_ALLOWED`.
        message: What is wrong, in a sentence.
        fix_hint: What to do about it.
    """

    row: int
    record: str
    field: str
    reason_code: str
    message: str
    fix_hint: str


class ValueDoesNotFit(BadRecord):
    """A detail cannot be written as it is; nothing of its batch was.

    Attributes:
        row: The detail's row in the record batch, from 0.
        record: The kind of record.
        field: The field's name.
    """

    def __init__(self, misfit: Misfit) -> None:
        super().__init__(misfit.message, reason_code=misfit.reason_code, fix_hint=misfit.fix_hint)
        self.row = misfit.row
        self.record = misfit.record
        self.field = misfit.field


@dataclass
class Report:
    """What came up while records of one kind were written.

    Attributes:
        record: The kind of record.
        base: Row of the batch at which the part being written begins.
        misfits: Values that do not fit, by field and then by row.
        substituted: Characters that were replaced, as the spec allows.
        truncated: Texts that were cut, as the spec allows.
    """

    record: str
    base: int = 0
    misfits: list[Misfit] = field(default_factory=list)
    substituted: int = 0
    truncated: int = 0

    def misfit(
        self, rows: Iterable[int], spec: FieldSpec, code: str, problem: Callable[[int], str], fix_hint: str
    ) -> None:
        """Tells of rows (from 0 in the part being written) whose value does not fit."""
        where = f"Record {self.record!r}, field {spec.name!r} ({spec.positions})"
        for row in rows:
            message = f"{where}: {problem(int(row))}"
            self.misfits.append(Misfit(self.base + int(row), self.record, spec.name, code, message, fix_hint))

    def missing(self, rows: Iterable[int], spec: FieldSpec) -> None:
        """Tells of rows without a value in a field that must have one."""
        hint = "Fill the value in at its source, or declare `null: spaces` or `null: zeros` in the record spec."
        self.misfit(rows, spec, "VALUE_MISSING", lambda row: f"`{spec.source}` has no value, but must have one.", hint)

    def first(self) -> Misfit | None:
        """The misfit of the first row that has one."""
        return min(self.misfits, key=lambda misfit: misfit.row, default=None)


def shown(value: object) -> str:
    """A value in a message, shortened where it is long."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
