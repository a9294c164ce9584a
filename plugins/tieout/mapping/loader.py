"""Reads mapping files, plain or encrypted, with their lookups. Light imports only: DAG files import this module."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tieout.errors import ConfigurationInvalid
from tieout.mapping.encryption import SUFFIX, decrypt_file
from tieout.mapping.model import EntityMapping, Lookup, Named
from tieout.mapping.references import problems
from tieout.yaml_file import KeyPath, YamlFile, display_name, load_yaml, parse_yaml

Expressions = tuple[Named, ...]
T = TypeVar("T")


def find_mapping(folder: Path | str, entity: str) -> Path:
    """The file with an entity's mapping: `<entity>.yaml` or `<entity>.yaml.enc`.

    Raises:
        ConfigurationInvalid: There is none, or there are both.
    """
    plain = Path(folder) / f"{entity}.yaml"
    encrypted = Path(folder) / f"{entity}.yaml{SUFFIX}"
    if plain.exists() and encrypted.exists():
        raise ConfigurationInvalid(
            f"{display_name(plain)} exists plain and encrypted, so nobody knows which one counts. Remove one of them."
        )
    if encrypted.exists():
        return encrypted
    if plain.exists():
        return plain
    raise ConfigurationInvalid(
        f"{display_name(plain)}: there is no such mapping. Create it, or correct the entity's name."
    )


def list_mappings(folder: Path | str) -> list[Path]:
    """All mapping files of an integration, by name; files of lookups are in folders of their own."""
    found = [path for path in Path(folder).iterdir() if path.name.endswith((".yaml", f".yaml{SUFFIX}"))]
    return sorted(found, key=lambda path: path.name)


def load_mapping(path: Path | str) -> EntityMapping:
    """Reads one mapping with its lookups and checks every name in it.

    Raises:
        ConfigurationInvalid: One sentence per problem, each with file, line and key.
    """
    path = Path(path)
    file = load_yaml_or_encrypted(path)
    mapping = file.validate(EntityMapping)
    expected = path.name.removesuffix(SUFFIX).removesuffix(".yaml")
    if mapping.entity != expected:
        raise file.problem(
            ("entity",), f"the file's name says {expected!r} and this key {mapping.entity!r}. Make them the same."
        )
    found = [str(file.problem(where, message)) for where, message in problems(mapping)]
    if found:
        raise ConfigurationInvalid("\n".join(dict.fromkeys(found)))
    return _with_lookups(mapping, file, path.parent)


def load_yaml_or_encrypted(path: Path) -> YamlFile:
    """A YAML file, decrypted first when its name ends in `.enc`.

    Raises:
        ConfigurationInvalid: It cannot be read, decrypted or parsed.
    """
    if path.suffix != SUFFIX:
        return load_yaml(path)
    text = _utf8(decrypt_file(path), path)
    return parse_yaml(text, display_name(path), confidential=True)


def _with_lookups(mapping: EntityMapping, file: YamlFile, folder: Path) -> EntityMapping:
    """The mapping with the entries of its lookup files."""

    def filled(items: Expressions, path: KeyPath) -> Expressions:
        return tuple(_filled(item, file, (*path, position), folder) for position, item in enumerate(items))

    update: dict[str, object] = {
        "columns": filled(mapping.columns, ("columns",)),
        "values": filled(mapping.values, ("values",)),
    }
    other = mapping.alternative_when_empty
    if other is not None:
        base = ("alternative_when_empty",)
        changes = {
            "columns": filled(other.columns, (*base, "columns")),
            "values": filled(other.values, (*base, "values")),
        }
        update["alternative_when_empty"] = other.model_copy(update=changes)
    return mapping.model_copy(update=update)


def _filled(item: Named, file: YamlFile, path: KeyPath, folder: Path) -> Named:
    lookup = item.lookup
    if lookup is None or lookup.file is None:
        return item
    entries = {**_lookup_file(lookup, file, (*path, "lookup", "file"), folder), **(lookup.entries or {})}
    return item.model_copy(update={"lookup": lookup.model_copy(update={"entries": entries})})


def _lookup_file(lookup: Lookup, file: YamlFile, key: KeyPath, folder: Path) -> dict[str, str]:
    name = PurePosixPath(lookup.file or "")
    if name.is_absolute() or ".." in name.parts:
        raise file.problem(
            key, f"{str(name)!r} must be a path below the mapping's folder, without `..`. Move the file."
        )
    path = folder / name
    if not path.exists():
        encrypted = path.with_name(path.name + SUFFIX)
        if not encrypted.exists():
            raise file.problem(
                key, f"there is no file {str(name)!r} in the mapping's folder. Add it or correct the name."
            )
        path = encrypted
    if ".csv" in path.suffixes:
        return _csv_entries(path)
    if ".yaml" in path.suffixes:
        return _yaml_entries(path)
    raise file.problem(key, f"{str(name)!r} is neither .yaml nor .csv. Save the lookup as one of them.")


def _yaml_entries(path: Path) -> dict[str, str]:
    file = load_yaml_or_encrypted(path)
    if not isinstance(file.content, dict):
        raise file.problem((), "a lookup file holds lines `from: to`. Write it so.")
    entries = {}
    for source, target in file.content.items():
        if isinstance(target, (dict, list)) or target is None:
            raise file.problem((source,), "a lookup's value must be a plain text. Correct or remove the line.")
        entries[source] = str(target).lower() if isinstance(target, bool) else str(target)
    return entries


def _csv_entries(path: Path) -> dict[str, str]:
    """Two columns with a header row of any names."""
    data = decrypt_file(path) if path.suffix == SUFFIX else path.read_bytes()
    name = display_name(path)
    reader = csv.reader(io.StringIO(_utf8(data, path), newline=""), strict=True)
    entries: dict[str, str] = {}
    try:
        next(reader, None)
        for row in reader:
            if not row:
                continue
            if len(row) != 2:
                raise ConfigurationInvalid(
                    f"{name}, line {reader.line_num}: a lookup has two columns (from, to), this row has {len(row)}. "
                    "Correct the row."
                )
            if row[0] in entries:
                raise ConfigurationInvalid(
                    f"{name}, line {reader.line_num}: this row's first column is given above already. Keep only one."
                )
            entries[row[0]] = row[1]
    except csv.Error as error:
        raise ConfigurationInvalid(f"{name}, line {reader.line_num}: this is not CSV ({error}). Correct it.") from None
    return entries


def _utf8(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid(
            f"{display_name(path)}: byte {error.start + 1} is not UTF-8. Save the file in the encoding UTF-8."
        ) from None
