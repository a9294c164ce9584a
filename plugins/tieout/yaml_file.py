"""YAML files with positions: what is wrong is said with file, line and key.

Reads the plain part of YAML that people expect in configuration: `true`/`false` are booleans, but `yes`, `no`, `on`,
`NO` (Norway), `0012` (an account code) and `2026-01-05` stay text. A key given twice is refused, so are tags that
build Python objects. Light imports only: DAG files import this module.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from tieout.errors import ConfigurationInvalid

Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]

# Far above any real configuration; a few lines of nested aliases can otherwise unfold to gigabytes.
MAX_ALIASED_NODES = 10_000

_PLAIN_TAGS = "tag:yaml.org,2002:"
_SafeLoader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """PyYAML's safe parser with the resolver of YAML 1.2's core schema instead of YAML 1.1's surprises."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


_Loader.add_implicit_resolver(_PLAIN_TAGS + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_PLAIN_TAGS + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_PLAIN_TAGS + "int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver(_PLAIN_TAGS + "float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$"), list("-0123456789"))


@dataclass(frozen=True)
class YamlFile:
    """The content of one YAML document and where each key stands.

    Attributes:
        name: The file's name as people know it, such as `include/mappings/sap_b1_to_peakflo/invoices.yaml`.
        content: Plain dicts, lists, str, int, float, bool, None.
        lines: Line (from 1) of every key path, such as `("columns", 3, "date")`.
        confidential: Decrypted content: messages then never quote a value.
    """

    name: str
    content: Any = field(repr=False)
    lines: Mapping[KeyPath, int] = field(repr=False)
    confidential: bool = False

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest enclosing key that the file has."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1

    def problem(self, path: KeyPath, message: str) -> ConfigurationInvalid:
        """An error that names file, line and key: `invoices.yaml, line 12, columns[3].date: …`."""
        key = spell(path)
        return ConfigurationInvalid(f"{self.name}, line {self.line(path)}{', ' + key if key else ''}: {message}")

    def validate(self, model: type[Model]) -> Model:
        """See `validate`."""
        return validate(model, self)


def load_yaml(path: Path | str, *, name: str | None = None) -> YamlFile:
    """Read one YAML file.

    Args:
        path: The file.
        name: How messages call it; by default the path, from `include/` on where there is such a folder.

    Raises:
        ConfigurationInvalid: The file is missing, not UTF-8, not YAML, or names a key twice.
    """
    path = Path(path)
    name = name or display_name(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationInvalid(
            f"{name}: the file cannot be read ({error.strerror}). Create it or correct the path."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid(
            f"{name}: byte {error.start + 1} is not UTF-8. Save the file in the encoding UTF-8."
        ) from None
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str, *, confidential: bool = False) -> YamlFile:
    """Parse YAML text that did not come from a plain file, a decrypted one for instance.

    Raises:
        ConfigurationInvalid: The text is not YAML, or names a key twice.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        detail = error.problem or error.context or "it cannot be parsed"
        raise ConfigurationInvalid(
            f"{name}{where}: this is not valid YAML ({detail}). Check indentation, colons and quotes there."
        ) from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationInvalid(f"{name}: this is not valid YAML ({reason}). Remove the odd characters.") from None
    reader = _Reader(name, confidential)
    content = reader.read(node, ()) if node is not None else None
    return YamlFile(name=name, content=content, lines=reader.lines, confidential=confidential)


def validate(model: type[Model], file: YamlFile) -> Model:
    """Turn a file's content into a typed model.

    Raises:
        ConfigurationInvalid: One sentence per problem, each with file, line, key and what to do.
    """
    if not isinstance(file.content, dict):
        found = "empty" if file.content is None else f"a {_kind(file.content)}"
        raise ConfigurationInvalid(
            f"{file.name}, line 1: the file must hold keys and values (`key: value`) but is {found}. "
            f"Known keys: {', '.join(_names(model))}."
        )
    try:
        return model.model_validate(file.content)
    except ValidationError as error:
        problems = [_sentence(model, file, detail) for detail in error.errors(include_url=False)]
        raise ConfigurationInvalid("\n".join(dict.fromkeys(problems))) from None


def display_name(path: Path) -> str:
    """`…/include/mappings/x.yaml` → `include/mappings/x.yaml`: short, and the same on every machine."""
    parts = path.parts
    if "include" in parts:
        start = len(parts) - 1 - parts[::-1].index("include")
        return "/".join(parts[start:])
    return str(path)


def spell(path: KeyPath) -> str:
    """A key path as people write it: `("columns", 3, "date")` → `columns[3].date`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Reader:
    """Walks composed nodes: plain values on one side, key path → line on the other."""

    def __init__(self, name: str, confidential: bool) -> None:
        self.name = name
        self.confidential = confidential
        self.lines: dict[KeyPath, int] = {}
        self._seen: set[int] = set()
        self._aliased = 0
        self._open: list[yaml.Node] = []

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        # A node is met again only by way of an alias; a long file without aliases is nothing to refuse.
        self._aliased += id(node) in self._seen
        self._seen.add(id(node))
        if self._aliased > MAX_ALIASED_NODES or any(node is parent for parent in self._open):
            raise self._error(node, path, "aliases refer to each other without end. Write the values out.")
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            return self._scalar(node.tag.removeprefix(_PLAIN_TAGS), str(node.value), node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        if node.tag != _PLAIN_TAGS + "map":
            raise self._error(node, path, f"the tag {node.tag!r} is not allowed. Remove it.")
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            # Keys are names or codes, never numbers: `1000: sales` is the account code "1000".
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, path, "a key must be plain text. Quote it, or mend the indentation.")
            key = key_node.value
            line = key_node.start_mark.line + 1
            if key in values:
                first = self.lines[(*path, key)]
                raise self._error(key_node, (*path, key), f"this key is already given in line {first}. Keep only one.")
            self.lines[(*path, key)] = line
            values[key] = self.read(value_node, (*path, key))
        return values

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Any]:
        if node.tag != _PLAIN_TAGS + "seq":
            raise self._error(node, path, f"the tag {node.tag!r} is not allowed. Remove it.")
        items = []
        for index, item in enumerate(node.value):
            self.lines[(*path, index)] = item.start_mark.line + 1
            items.append(self.read(item, (*path, index)))
        return items

    def _scalar(self, kind: str, text: str, node: yaml.Node, path: KeyPath) -> Any:
        try:
            if kind == "str":
                return text
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind == "int":
                return int(text)
            if kind == "float":
                return float(text)
        except (ValueError, KeyError):
            raise self._error(node, path, f"the tag {node.tag!r} does not fit this value. Remove the tag.") from None
        raise self._error(node, path, f"the tag {node.tag!r} is not allowed. Remove it.")

    def _error(self, node: yaml.Node, path: KeyPath, message: str) -> ConfigurationInvalid:
        key = spell(path)
        return ConfigurationInvalid(
            f"{self.name}, line {node.start_mark.line + 1}{', ' + key if key else ''}: {message}"
        )


def _sentence(model: type[BaseModel], file: YamlFile, detail: Any) -> str:
    """One pydantic error in words. Its path also names union members, which the file does not have: leave those out."""
    location = tuple(detail["loc"])
    path = _path_in_file(file, location, missing=detail["type"] == "missing")
    return str(file.problem(path, _what_is_wrong(model, file, detail, path)))


def _what_is_wrong(model: type[BaseModel], file: YamlFile, detail: Any, path: KeyPath) -> str:
    kind = str(detail["type"])
    if kind == "missing":
        return "this key is missing. Add it."
    if kind == "extra_forbidden":
        known = sorted(_known_keys(model, path[:-1]))
        close = difflib.get_close_matches(str(path[-1]), known, 1)
        hint = f"Did you mean `{close[0]}`?" if close else "Remove it."
        return f"this key is not known here. {hint} Known keys: {', '.join(known)}."
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:]
    if kind in ("value_error", "assertion_error"):
        return message
    found = detail.get("input")
    if isinstance(found, (dict, list)):
        shown = f"it is a {_kind(found)}"
    elif file.confidential:
        shown = "the value is not shown, the file is encrypted"
    else:
        shown = f"it is {_shorten(found)}"
    return f"{message}, but {shown}. Correct the value."


def _path_in_file(file: YamlFile, location: KeyPath, *, missing: bool) -> KeyPath:
    path: KeyPath = ()
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if (*path, part) in file.lines or (last and missing):
            path = (*path, part)
    return path


def _known_keys(model: type[BaseModel], path: KeyPath) -> set[str]:
    """Keys that the model takes at `path`, over all members of unions on the way."""
    kinds: list[Any] = [model]
    for part in path:
        kinds = [inner for kind in kinds for inner in _inner(kind, part)]
    return {name for kind in kinds for candidate in _models(kind) for name in _names(candidate)}


def _inner(annotation: Any, part: str | int) -> Iterator[Any]:
    for model in _models(annotation):
        for name, info in model.model_fields.items():
            if part in (name, info.alias):
                yield info.annotation
    for container in _unfold(annotation):
        arguments = get_args(container)
        if arguments and get_origin(container) in (list, tuple, dict, Mapping):
            yield arguments[-1] if get_origin(container) in (dict, Mapping) else arguments[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for member in _unfold(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            yield member


def _unfold(annotation: Any) -> Iterator[Any]:
    """The members of unions and `Annotated`, else the annotation itself."""
    origin = get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        for member in get_args(annotation):
            yield from _unfold(member)
    elif origin is typing.Annotated:
        yield from _unfold(get_args(annotation)[0])
    else:
        yield annotation


def _names(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _kind(value: Any) -> str:
    return {dict: "mapping", list: "list", str: "text", int: "number", float: "number", bool: "boolean"}.get(
        type(value), type(value).__name__
    )


def _shorten(value: Any) -> str:
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
