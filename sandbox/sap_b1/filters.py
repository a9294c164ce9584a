"""`$filter` of the Service Layer: text → a predicate over records, and the range of keys it implies.

Grammar: `eq ne gt ge lt le and or not ( )`, `startswith endswith contains substringof`; no arithmetic, no `in`,
no date functions, as the manual says. A date literal's time part is ignored, a time compares by hour and minute,
an enum may be written by name or by its database code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sandbox.sap_b1.errors import ServiceLayerError, invalid_filter, invalid_property
from sandbox.sap_b1.schema import DATE, DOUBLE, ENUMS, INTEGER, TEXT, TIME, EntitySet

Record = dict[str, Any]
Predicate = Callable[[Record], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<prefix>datetime|time)?(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w])"
    r"|(?P<word>[A-Za-z_][\w/]*)|(?P<mark>[(),]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
}  # fmt: skip
_TEXT_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith, "endswith": str.endswith, "contains": operator.contains,
}  # fmt: skip


@dataclass(frozen=True)
class Token:
    """One word of a filter: kind is string, number, word or mark."""

    kind: str
    text: str


@dataclass(frozen=True)
class KeyBound:
    """One `Key gt 5`-like condition that stands at the top level of the filter."""

    comparison: str
    value: Any


@dataclass(frozen=True)
class CompiledFilter:
    """A filter split in two: bounds on the key for a bisect, and the rest as a predicate per record."""

    bounds: tuple[KeyBound, ...]
    rest: tuple[Predicate, ...]
    rest_text: str
    """Canonical text of the rest: two filters that differ in their key bounds only have the same."""


def tokenize(text: str) -> list[Token]:
    """Splits a filter into tokens. Raises the Service Layer's own error for what it cannot read."""
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise invalid_filter()
        kind = match.lastgroup or ""
        value = match[kind]
        tokens.append(Token(kind, value[1:-1].replace("''", "'") if kind == "string" else value))
        position = match.end()
    return tokens


def parse_date(text: str) -> str:
    """`2014-04-23`, `20140423` or either with a time → `2014-04-23`; the time is ignored as SAP does."""
    match = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?", text)
    if match is None:
        raise invalid_filter()
    try:
        return date(*(int(part) for part in match.groups())).isoformat()
    except ValueError:
        raise invalid_filter() from None


def parse_time(text: str, *, seconds: bool) -> str:
    """`18:38:00`, `18:38` or `1838` → `18:38`, or `18:38:00` where seconds count."""
    match = re.fullmatch(r"(\d{2}):?(\d{2})(?::?(\d{2}))?", text)
    if match is None:
        raise invalid_filter()
    hour, minute, second = match[1], match[2], match[3] or "00"
    return f"{hour}:{minute}:{second}" if seconds else f"{hour}:{minute}"


class _Parser:
    """Recursive descent; every method returns a predicate and moves on."""

    def __init__(self, tokens: list[Token], entity: EntitySet, *, seconds: bool, ignore_case: bool) -> None:
        self._tokens = tokens
        self._position = 0
        self._entity = entity
        self._seconds = seconds
        self._ignore_case = ignore_case

    def conjuncts(self) -> list[tuple[str, KeyBound | Predicate]]:
        """The top level: `a and b and c` as separate parts, anything else as one."""
        start = self._position
        try:
            parts = [self._conjunct()]
            while self._accept("word", "and"):
                parts.append(self._conjunct())
            if self._position == len(self._tokens):
                return parts
        except ServiceLayerError:
            pass
        # An `or` at the top level makes one indivisible condition; errors surface here with the right message.
        self._position = start
        predicate = self._disjunction()
        if self._position != len(self._tokens):
            raise invalid_filter()
        return [(self._text(start), predicate)]

    def _conjunct(self) -> tuple[str, KeyBound | Predicate]:
        start = self._position
        inner = self._parenthesised_bound() or self._key_bound()
        if inner is not None and self._at_and_or_end():
            return "", inner
        self._position = start
        predicate = self._negation()
        return self._text(start), predicate

    def _at_and_or_end(self) -> bool:
        token = self._peek()
        return token is None or (token.kind == "word" and token.text == "and")

    def _parenthesised_bound(self) -> KeyBound | None:
        start = self._position
        if self._accept("mark", "("):
            bound = self._key_bound()
            if bound is not None and self._accept("mark", ")"):
                return bound
        self._position = start
        return None

    def _key_bound(self) -> KeyBound | None:
        tokens = self._tokens[self._position : self._position + 3]
        wanted = "number" if self._entity.key_type == INTEGER else "string"
        if (
            len(tokens) == 3
            and tokens[0] == Token("word", self._entity.key)
            and tokens[1].text in ("eq", "gt", "ge", "lt", "le")
            and tokens[2].kind == wanted
            and not (wanted == "string" and self._ignore_case)
        ):
            self._position += 3
            return KeyBound(tokens[1].text, _number(tokens[2].text) if wanted == "number" else tokens[2].text)
        return None

    def _disjunction(self) -> Predicate:
        parts = [self._conjunction()]
        while self._accept("word", "or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else lambda record: any(part(record) for part in parts)

    def _conjunction(self) -> Predicate:
        parts = [self._negation()]
        while self._accept("word", "and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else lambda record: all(part(record) for part in parts)

    def _negation(self) -> Predicate:
        if self._accept("word", "not"):
            inner = self._negation()
            return lambda record: not inner(record)
        return self._primary()

    def _primary(self) -> Predicate:
        if self._accept("mark", "("):
            inner = self._disjunction()
            self._expect_mark(")")
            return inner
        token = self._next()
        if token.kind != "word":
            raise invalid_filter()
        following = self._peek()
        if following == Token("mark", "("):
            return self._function(token.text)
        return self._comparison(token.text)

    def _function(self, name: str) -> Predicate:
        self._expect_mark("(")
        if name == "substringof":
            needle = self._literal_text()
            self._expect_mark(",")
            prop = self._text_property()
            test = _TEXT_FUNCTIONS["contains"]
        elif name in _TEXT_FUNCTIONS:
            prop = self._text_property()
            self._expect_mark(",")
            needle = self._literal_text()
            test = _TEXT_FUNCTIONS[name]
        else:
            raise invalid_filter()
        self._expect_mark(")")
        if self._ignore_case:
            needle = needle.lower()
            return lambda record: (value := record[prop]) is not None and test(value.lower(), needle)
        return lambda record: (value := record[prop]) is not None and test(value, needle)

    def _comparison(self, prop: str) -> Predicate:
        kind = self._entity.properties.get(prop)
        if kind is None:
            raise invalid_property(prop)
        word = self._next()
        compare = _COMPARISONS.get(word.text) if word.kind == "word" else None
        if compare is None:
            raise invalid_filter()
        literal = self._next()
        if literal == Token("word", "null"):
            return self._null_comparison(prop, word.text)
        if kind in (INTEGER, DOUBLE):
            if literal.kind != "number":
                raise invalid_filter()
            return _compare(prop, compare, _number(literal.text))
        if kind in ENUMS:
            return self._enum_comparison(prop, kind, compare, literal)
        if literal.kind != "string":
            raise invalid_filter()
        if kind == DATE:
            return _compare(prop, compare, parse_date(literal.text))
        if kind == TIME:
            wanted = parse_time(literal.text, seconds=self._seconds)
            width = len(wanted)
            return lambda record: (value := record[prop]) is not None and compare(value[:width], wanted)
        if self._ignore_case:
            lowered = literal.text.lower()
            return lambda record: (value := record[prop]) is not None and compare(value.lower(), lowered)
        return _compare(prop, compare, literal.text)

    def _null_comparison(self, prop: str, word: str) -> Predicate:
        if word == "eq":
            return lambda record: record[prop] is None
        if word == "ne":
            return lambda record: record[prop] is not None
        raise invalid_filter()

    def _enum_comparison(self, prop: str, kind: str, compare: Callable[[Any, Any], bool], literal: Token) -> Predicate:
        names = ENUMS[kind]
        by_code = {code: name for name, code in names.items()}
        name = literal.text if literal.text in names else by_code.get(literal.text)
        if literal.kind != "string" or name is None or compare not in (operator.eq, operator.ne):
            raise invalid_filter()
        return _compare(prop, compare, name)

    def _text_property(self) -> str:
        token = self._next()
        if token.kind != "word":
            raise invalid_filter()
        kind = self._entity.properties.get(token.text)
        if kind is None:
            raise invalid_property(token.text)
        if kind != TEXT:
            raise invalid_filter()
        return token.text

    def _literal_text(self) -> str:
        token = self._next()
        if token.kind != "string":
            raise invalid_filter()
        return token.text

    def _peek(self) -> Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _next(self) -> Token:
        token = self._peek()
        if token is None:
            raise invalid_filter()
        self._position += 1
        return token

    def _accept(self, kind: str, text: str) -> bool:
        if self._peek() == Token(kind, text):
            self._position += 1
            return True
        return False

    def _expect_mark(self, mark: str) -> None:
        if not self._accept("mark", mark):
            raise invalid_filter()

    def _text(self, start: int) -> str:
        return " ".join(f"{token.kind}:{token.text!r}" for token in self._tokens[start : self._position])


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _compare(prop: str, compare: Callable[[Any, Any], bool], wanted: Any) -> Predicate:
    """Null compares as false, whatever the comparison, as in SQL."""
    return lambda record: (value := record[prop]) is not None and compare(value, wanted)


def compile_filter(text: str, entity: EntitySet, *, seconds: bool = False, ignore_case: bool = False) -> CompiledFilter:
    """Compiles a `$filter`.

    Args:
        text: The decoded filter.
        entity: Whose properties it may name.
        seconds: Whether times compare to the second instead of to the minute.
        ignore_case: As the request header `B1S-CaseInsensitive: true` asks.

    Raises:
        ServiceLayerError: 400 with code 201, for an unknown property or a condition that cannot be read.
    """
    tokens = tokenize(text)
    if not tokens:
        raise invalid_filter()
    parts = _Parser(tokens, entity, seconds=seconds, ignore_case=ignore_case).conjuncts()
    bounds = tuple(part for _, part in parts if isinstance(part, KeyBound))
    rest = [(label, part) for label, part in parts if not isinstance(part, KeyBound)]
    rest_text = " & ".join(label for label, _ in rest) + f" seconds={seconds} ignore_case={ignore_case}"
    return CompiledFilter(bounds, tuple(part for _, part in rest), rest_text)
