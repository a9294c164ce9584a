"""The interchange and the group around the sets: ISA, GS, GE, IEA; control numbers and the test guard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tieout.errors import ConfigurationInvalid
from tieout.formats.x12.profile import X12Profile
from tieout.formats.x12.tables import FUNCTIONAL_GROUPS

ISA_CHARACTERS = 106
HIGHEST_CONTROL_NUMBER = 999_999_999


@dataclass(frozen=True)
class ControlNumbers:
    """Numbers that the ledger has allocated before anything is written.

    Attributes:
        interchange: ISA13 and IEA02, unique per sender and receiver, never reused.
        group: GS06 and GE02.
        first_set: ST02 of the first set; the next ones follow on.
    """

    interchange: int
    group: int
    first_set: int = 1

    def __post_init__(self) -> None:
        """Refuses numbers that have no place in the file.

        Raises:
            ValueError: A number is not within 1 to 999999999.
        """
        for name in ("interchange", "group", "first_set"):
            if not 1 <= getattr(self, name) <= HIGHEST_CONTROL_NUMBER:
                raise ValueError(f"The {name} control number must be within 1 and {HIGHEST_CONTROL_NUMBER}.")


@dataclass(frozen=True)
class Envelope:
    """One interchange with one group, as a file is.

    Attributes:
        profile: The partner's agreement.
        set_id: The sets in the group.
        controls: Its numbers.
        created: Date and time for ISA09/10 and GS04/05, written as they stand; choose the partner's time zone.
    """

    profile: X12Profile
    set_id: str
    controls: ControlNumbers
    created: datetime

    def opening(self) -> str:
        """ISA and GS.

        Raises:
            ConfigurationInvalid: The ISA would not have 106 characters.
        """
        isa = self._isa()
        if len(isa) != ISA_CHARACTERS:
            raise ConfigurationInvalid(f"The ISA has {len(isa)} characters instead of {ISA_CHARACTERS}: {isa!r}.")
        profile = self.profile
        group = self._segment(
            "GS",
            FUNCTIONAL_GROUPS[self.set_id],
            profile.sender.group_id,
            profile.receiver.group_id,
            self.created.strftime("%Y%m%d"),
            self.created.strftime("%H%M"),
            str(self.controls.group),
            "X",
            profile.version,
        )
        return isa + profile.line_break + group

    def closing(self, sets: int) -> str:
        """GE and IEA.

        Args:
            sets: How many sets the group has.
        """
        interchange = f"{self.controls.interchange:09d}"
        group = str(self.controls.group)
        return self._segment("GE", str(sets), group) + self._segment("IEA", "1", interchange)

    def _isa(self) -> str:
        profile = self.profile
        old = profile.version == "004010"
        return (
            profile.element_separator.join(
                (
                    "ISA",
                    "00",
                    " " * 10,
                    "00",
                    " " * 10,
                    profile.sender.qualifier,
                    f"{profile.sender.id:<15}",
                    profile.receiver.qualifier,
                    f"{profile.receiver.id:<15}",
                    self.created.strftime("%y%m%d"),
                    self.created.strftime("%H%M"),
                    "U" if old else profile.repetition_separator,
                    "00401" if old else "00501",
                    f"{self.controls.interchange:09d}",
                    "1" if profile.acknowledgment_requested else "0",
                    profile.test_indicator,
                    profile.component_separator,
                )
            )
            + profile.segment_terminator
        )

    def _segment(self, *elements: str) -> str:
        return self.profile.element_separator.join(elements) + self.profile.segment_end


def guard_test_content(profile: X12Profile, *, test_content: bool) -> None:
    """Keeps test data from being announced as real.

    Args:
        profile: Its `test_indicator` becomes ISA15.
        test_content: Whether the data are a test's: a sandbox, a rehearsal, a company that exists for tests.

    Raises:
        ConfigurationInvalid: Test data would go as `P`.
    """
    if test_content and profile.test_indicator == "P":
        raise ConfigurationInvalid(
            "The data are marked as test data, and the partner's profile says test_indicator: P (production). "
            "Nothing was written. Set test_indicator: T for tests, or run with real data."
        )
