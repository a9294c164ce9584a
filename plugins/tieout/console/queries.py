"""What a request may ask for, checked."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from tieout.cli.parser import moment
from tieout.console.instances import Pair
from tieout.ledger import Filters

LARGEST_PAGE = 500
LARGEST_CHOICE = 1_000
"""Records that one request may name; of more, `all` with filters."""


def _moment(value: object) -> datetime:
    try:
        return moment(str(value))
    except (ArgumentTypeError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _storable(value: str) -> str:
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("has a character that no text has (NUL or half of a pair)")
    return value


Name = Annotated[str, Field(min_length=1, max_length=250), AfterValidator(_storable)]
Search = Annotated[str, Field(max_length=500), AfterValidator(_storable)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
HeldId = Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]


class Narrowing(BaseModel):
    """The filters that lists and actions share."""

    model_config = ConfigDict(extra="forbid")

    integration: Name | None = None
    instance: Name | None = None
    entity: Name | None = None
    run_id: Name | None = None
    since: Moment | None = None

    def filters(self, within: frozenset[Pair] | None = None) -> Filters:
        """The filters as the ledger takes them.

        Args:
            within: The instances that the caller may see; None where that is checked otherwise.
        """
        return Filters(
            integration=self.integration,
            instance=self.instance,
            entity=self.entity,
            run_id=self.run_id,
            since=self.since,
            status=getattr(self, "status", None),
            search=getattr(self, "q", "").strip() or None,
            mode=getattr(self, "mode", None),
            ties_out=getattr(self, "ties_out", None),
            within=within,
        )


class Page(Narrowing):
    """A page of a list."""

    limit: int = Field(50, ge=1, le=LARGEST_PAGE)
    offset: int = Field(0, ge=0, le=2**31 - 1)


class RunsPage(Page):
    """Of the runs; one that has no verdict yet does not tie out."""

    status: Literal["running", "extracted", "prepared", "delivered", "success", "dry_run", "failed"] | None = None
    mode: Name | None = None
    ties_out: bool | None = None


class FilesPage(Page):
    """Of the files; `q` is the beginning of a name or path, or a whole source key or label of a record in them."""

    status: (
        Literal[
            "prepared", "sending", "verified", "delivered", "refused", "abandoned",
            "collected", "settled", "archived", "left",
        ]
        | None
    ) = None  # fmt: skip
    q: Search = ""


class HeldPage(Page):
    """Of the held records; `q` is the beginning of a source key or label."""

    status: Literal["held", "settled", "discarded"] | None = None
    q: Search = ""


class ReplayRequest(Narrowing):
    """Which held records to send again: these ids, or all that the filters leave, `q` as in the list among them."""

    q: Search = ""
    ids: list[HeldId] = Field(default_factory=list, max_length=LARGEST_CHOICE)
    all: StrictBool = False
    preview: StrictBool = False


class DiscardRequest(BaseModel):
    """Which held records to give up, and why."""

    model_config = ConfigDict(extra="forbid")

    ids: list[HeldId] = Field(min_length=1, max_length=LARGEST_CHOICE)
    why: Annotated[str, Field(max_length=2_000), AfterValidator(_storable)]
    preview: StrictBool = False
