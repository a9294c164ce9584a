"""Layout files: what a customer's export files call and write things.

`include/mappings/<dag_id>/invoices.yaml` (`vendors`, `payments`), plain or encrypted. Every name and every way of
writing is configuration; what a file leaves out has the default that is described at each setting.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tieout.config import Strict
from tieout.errors import ConfigurationInvalid
from tieout.mapping.encryption import SUFFIX
from tieout.mapping.loader import find_mapping, load_yaml_or_encrypted
from tieout.systems.stampli.columns import RECORD_KINDS, Kind, RecordKind
from tieout.systems.stampli.encodings import AUTO, supported
from tieout.systems.stampli.values import BLANKS, AmountReader, DateReader, FlagReader, InvalidValue, read_integer
from tieout.yaml_file import KeyPath, YamlFile, display_name

Text = Annotated[str, Field(min_length=1, max_length=200)]
Entity = Literal["invoices", "vendors", "payments"]
Delimiter = Literal["auto", "comma", "semicolon", "tab", "pipe"]


class Amounts(Strict):
    """How amounts and quantities are written."""

    decimal_mark: Literal[".", ","] = "."
    thousands_separator: Literal["none", ",", ".", "'", " "] = "none"


class Flags(Strict):
    """The words for yes and no, in any capitals."""

    yes: tuple[Text, ...] = ("true", "yes", "y", "1", "active", "t")
    no: tuple[Text, ...] = ("false", "no", "n", "0", "inactive", "f")


class CsvSettings(Strict):
    """How CSV files are written; `auto` takes the delimiter that splits the header row into the most known columns."""

    delimiter: Delimiter = "auto"


class XmlSettings(Strict):
    """The elements and attributes of XML files; namespaces and capitals do not matter.

    Attributes:
        root: The document's element.
        record: One record's element; by default Invoice, Vendor or Payment.
        id_attribute: Attribute of the record with its (first) key column.
        root_attributes: Attribute of the root → header column that it gives where a record does not.
        header: Element with the header's values; they may also stand in the record directly.
        lines: Element around the lines.
        line: One line's element.
        approvals: Element around the approvals.
        approval: One approval's element.
        approver: Where an approval says who: attributes or elements, the first that is there.
        approved_at: Where it says when; the latest of a record's approvals counts.
    """

    root: Text = "StampliExport"
    record: Text | None = None
    id_attribute: Text = "id"
    root_attributes: dict[str, Text] = Field(default={"companyId": "company_id"})
    header: Text = "Header"
    lines: Text = "Lines"
    line: Text = "Line"
    approvals: Text = "Approvals"
    approval: Text = "Approval"
    approver: tuple[Text, ...] = ("approver", "name", "user", "by")
    approved_at: tuple[Text, ...] = ("approved_at", "approvedAt", "date", "at")


class LayoutSettings(Strict):
    """One layout file.

    Attributes:
        layout: What the files hold; also the name of this file.
        files: Name patterns with `*` and `?`, in any capitals. `.xml` files are XML, all others CSV.
        key: Columns that identify a record; their values joined with `|` are its key.
        required: Columns that must be there (in a CSV's header row) and have a value (in every record or line).
        columns: Canonical column → its name in the files, several possible names, or nothing when the files lack it.
            A column that is not listed has its canonical name.
        defaults: Canonical column → its value where a file has none.
        values: Canonical column → {text in the file: text to read instead}.
        dates: Formats of dates, of `%Y` (`%y`), `%m`, `%d`; the first that fits.
        timestamps: Date columns that are written as timestamps (ISO 8601); their date is taken as written.
        amounts: How amounts and quantities are written.
        flags: Words for yes and no.
        encoding: `auto` or an encoding's name. CSV, auto: by byte order mark, else each record by itself UTF-8, else
            Windows-1252. XML, auto: as the document says.
    """

    layout: Entity
    description: str = ""
    files: tuple[Text, ...] = ()
    key: tuple[str, ...] | None = None
    required: tuple[str, ...] | None = None
    columns: dict[str, Text | tuple[Text, ...] | None] = Field(default={})
    defaults: dict[str, Text] = Field(default={})
    values: dict[str, dict[str, str]] = Field(default={})
    dates: tuple[Text, ...] = ("%Y-%m-%d",)
    timestamps: tuple[str, ...] = ()
    amounts: Amounts = Amounts()
    flags: Flags = Flags()
    encoding: Text = AUTO
    csv: CsvSettings = CsvSettings()
    xml: XmlSettings = XmlSettings()

    @property
    def kind(self) -> RecordKind:
        """The columns there are."""
        return RECORD_KINDS[self.layout]


class Layout:
    """A layout, ready to read with.

    Attributes:
        settings: The file's content.
        entity: `invoices`, `vendors` or `payments`.
        version: SHA-256 of the settings; comments do not matter.
    """

    def __init__(self, settings: LayoutSettings) -> None:
        self.settings = settings
        self.entity = settings.layout
        self.kind = settings.kind
        self.version = _digest(settings.model_dump(mode="json"))
        self.files = settings.files or (f"{self.entity}_*.csv", f"{self.entity}_*.xml")
        self.key = settings.key or self.kind.key
        self.required = frozenset(
            (*self.key, *(self.kind.required if settings.required is None else settings.required))
        )
        self.encoding = AUTO if settings.encoding == AUTO else supported(settings.encoding) or AUTO
        self.names = {column: _names(settings, column) for column in self.kind.columns}
        self.by_name = {name.casefold(): column for column, names in self.names.items() for name in names}
        self._readers = _readers(settings)
        self._values = settings.values
        self._defaults = settings.defaults

    def matches(self, name: str) -> bool:
        """Whether a file of this name has this layout."""
        return any(fnmatch.fnmatchcase(name.casefold(), pattern.casefold()) for pattern in self.files)

    def shown(self, column: str) -> str:
        """What people find a column under in their files."""
        names = self.names[column]
        return names[0] if names else column

    def clean(self, column: str, text: str) -> str:
        """A text of a file as it is to be read: trimmed, replaced by `values`, filled by `defaults`."""
        text = text.strip(BLANKS)
        if column in self._values:
            text = self._values[column].get(text, text)
        return text or self._defaults.get(column, "")

    def read(self, column: str, text: str) -> Any:
        """A cleaned text as its column's kind of value; None for an empty one.

        Raises:
            InvalidValue: The text is none of that kind.
        """
        if not text:
            return None
        reader = self._readers.get(column)
        return text if reader is None else reader(text)


@dataclass(frozen=True)
class Layouts:
    """The layouts of an integration, by entity."""

    by_entity: Mapping[str, Layout]

    def for_file(self, name: str) -> Layout | None:
        """The layout of a file of this name; None when it is no file of ours.

        Raises:
            ConfigurationInvalid: Two layouts claim the name.
        """
        found = [layout for layout in self.by_entity.values() if layout.matches(name)]
        if len(found) > 1:
            names = " and ".join(f"{layout.entity}.yaml" for layout in found)
            raise ConfigurationInvalid(
                f"The file name {name!r} fits the patterns under `files` of {names}. Make them differ."
            )
        return found[0] if found else None

    def for_entity(self, entity: str) -> Layout:
        """The layout of an entity's files.

        Raises:
            ConfigurationInvalid: There is none.
        """
        try:
            return self.by_entity[entity]
        except KeyError:
            raise ConfigurationInvalid(
                f"There is no layout file {entity}.yaml for Stampli's {entity}. Create it in include/mappings."
            ) from None

    @property
    def version(self) -> str:
        """SHA-256 over all layouts."""
        return _digest({entity: layout.version for entity, layout in self.by_entity.items()})


def load_layouts(folder: Path | str) -> Layouts:
    """The layouts `invoices`, `vendors` and `payments` of a folder, plain or encrypted, as far as they are there.

    Raises:
        ConfigurationInvalid: One is wrong (says file, line and key), or there is none at all.
    """
    found: dict[str, Layout] = {}
    for entity in RECORD_KINDS:
        if any((Path(folder) / f"{entity}.yaml{suffix}").exists() for suffix in ("", SUFFIX)):
            found[entity] = load_layout(find_mapping(folder, entity))
    if not found:
        names = ", ".join(f"{entity}.yaml" for entity in RECORD_KINDS)
        raise ConfigurationInvalid(
            f"{display_name(Path(folder))} has none of the layout files {names}. "
            "Create those of the files that Stampli exports."
        )
    return Layouts(found)


def load_layout(path: Path | str) -> Layout:
    """One layout file, plain or encrypted.

    Raises:
        ConfigurationInvalid: One sentence per problem, each with file, line and key.
    """
    path = Path(path)
    file = load_yaml_or_encrypted(path)
    settings = file.validate(LayoutSettings)
    expected = path.name.removesuffix(SUFFIX).removesuffix(".yaml")
    if settings.layout != expected:
        raise file.problem(
            ("layout",), f"the file's name says {expected!r} and this key {settings.layout!r}. Make them the same."
        )
    found = [str(file.problem(where, message)) for where, message in _problems(settings, file)]
    if found:
        raise ConfigurationInvalid("\n".join(dict.fromkeys(found)))
    return Layout(settings)


def _names(settings: LayoutSettings, column: str) -> tuple[str, ...]:
    """What a column may be called in the files."""
    name = settings.columns.get(column, column)
    return () if name is None else (name,) if isinstance(name, str) else name


def _readers(settings: LayoutSettings) -> dict[str, Callable[[str], Any]]:
    """Column → how its text is read; text columns are not in it."""
    separator = settings.amounts.thousands_separator
    amounts = AmountReader(settings.amounts.decimal_mark, "" if separator == "none" else separator)
    dates = DateReader(settings.dates)
    by_kind: dict[Kind, Callable[[str], Any]] = {
        Kind.AMOUNT: amounts.read,
        Kind.DATE: dates.read,
        Kind.TIMESTAMP: dates.read_timestamp,
        Kind.INTEGER: read_integer,
        Kind.FLAG: FlagReader(settings.flags.yes, settings.flags.no).read,
    }
    kinds = {**settings.kind.columns, **dict.fromkeys(settings.timestamps, Kind.TIMESTAMP)}
    return {column: by_kind[kind] for column, kind in kinds.items() if kind in by_kind}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


Problem = tuple[KeyPath, str]


def _problems(settings: LayoutSettings, file: YamlFile) -> Iterator[Problem]:
    """What the types alone cannot tell."""
    yield from _unknown_columns(settings, file)
    yield from _name_problems(settings)
    yield from _key_problems(settings)
    yield from _way_of_writing_problems(settings)


def _unknown_columns(settings: LayoutSettings, file: YamlFile) -> Iterator[Problem]:
    known = settings.kind.columns
    mentioned: list[tuple[KeyPath, str]] = []
    for key in ("columns", "defaults", "values"):
        mentioned += [((key, name), name) for name in getattr(settings, key)]
    for key in ("key", "required", "timestamps"):
        mentioned += [((key, position), name) for position, name in enumerate(getattr(settings, key) or ())]
    if "root_attributes" in settings.xml.model_fields_set:
        attributes = settings.xml.root_attributes.items()
        mentioned += [(("xml", "root_attributes", name), column) for name, column in attributes]
    for path, name in mentioned:
        if name not in known:
            shown = "this" if file.confidential else repr(name)
            yield path, f"{shown} is no column of {settings.layout}. Known columns: {', '.join(sorted(known))}."


def _name_problems(settings: LayoutSettings) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for column in settings.kind.columns:
        for name in _names(settings, column):
            other = first.setdefault(name.strip().casefold(), column)
            if other != column:
                where = ("columns", column) if column in settings.columns else ("columns", other)
                yield where, f"{other} and {column} have the same name in the files. Give each a name of its own."
    for column, given in settings.columns.items():
        if given == ():
            yield ("columns", column), "this list is empty. Name the column, or write null when the files lack it."


def _key_problems(settings: LayoutSettings) -> Iterator[Problem]:
    kind = settings.kind
    if settings.key is not None and not settings.key:
        yield ("key",), "this list is empty. Name at least one column."
    for position, column in enumerate(settings.key or ()):
        if column in kind.lines:
            yield ("key", position), "this column differs from line to line. Take one that a record has once."
    for column in settings.key or kind.key:
        if not _names(settings, column):
            yield ("columns", column), "this column identifies a record, so the files must have it. Name it."
        if column in settings.defaults:
            yield ("defaults", column), "this column identifies a record, so it cannot have a default. Remove it."
    for position, column in enumerate(settings.required or ()):
        if column in kind.columns and not _names(settings, column) and column not in settings.defaults:
            yield ("required", position), "`columns` says that the files lack this column. Remove one of the two."
    for position, column in enumerate(settings.timestamps):
        if kind.columns.get(column, Kind.DATE) not in (Kind.DATE, Kind.TIMESTAMP):
            yield ("timestamps", position), "this column holds no date. Remove it."


def _way_of_writing_problems(settings: LayoutSettings) -> Iterator[Problem]:
    if settings.encoding != AUTO and supported(settings.encoding) is None:
        yield (
            ("encoding",),
            "this encoding is not known, or its characters cannot be told apart byte by byte. Write auto, utf-8, "
            "utf-16, or an encoding of one byte per character such as windows-1252 or iso-8859-15.",
        )
    if settings.amounts.decimal_mark == settings.amounts.thousands_separator:
        yield ("amounts", "thousands_separator"), "this is the decimal mark as well. Make them differ."
    both = {word.casefold() for word in settings.flags.yes} & {word.casefold() for word in settings.flags.no}
    if both:
        yield ("flags",), "a word stands under both yes and no. Remove it from one of them."
    try:
        DateReader(settings.dates)
    except ValueError as error:
        yield ("dates",), str(error)
        return
    if not settings.dates:
        yield ("dates",), "this list is empty. Write at least one format such as %Y-%m-%d."
        return
    if not both and not any(column not in settings.kind.columns for column in settings.defaults):
        layout = Layout(settings)
        for column, text in settings.defaults.items():
            try:
                layout.read(column, text.strip(BLANKS))
            except InvalidValue as error:
                yield ("defaults", column), f"this value {error}. Correct it."
