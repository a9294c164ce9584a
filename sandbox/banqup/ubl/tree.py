"""XML elements that can be looked up, changed and written in several legal forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
FORMS: dict[str, tuple[str, str, str]] = {
    "default": ("", "cac", "cbc"),
    "prefixed": ("ubl", "cac", "cbc"),
    "renamed": ("ns4", "ns2", "ns3"),
    "local": ("", "", ""),
}
"""How namespaces are written: prefixes of the document's own, the aggregates' and the basic components' namespace.

`local` has no prefix at all: every element declares its namespace as the default one where it changes.
"""


@dataclass
class Element:
    """An element; `name` is `cbc:…`, `cac:…`, or without a prefix for the document element."""

    name: str
    text: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)

    def find(self, path: str) -> Element:
        """The first element by names and slashes. Raises ValueError when there is none."""
        found = next(self.find_all(path), None)
        if found is None:
            raise ValueError(f"This document has no {path}.")
        return found

    def find_all(self, path: str) -> Iterator[Element]:
        """All elements by names and slashes, in document order."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                yield from child.find_all(rest) if rest else (child,)

    def has(self, path: str) -> bool:
        """Whether there is such an element."""
        return next(self.find_all(path), None) is not None

    def remove(self, name: str) -> None:
        """Takes away every child of that name."""
        self.children = [child for child in self.children if child.name != name]

    def insert_after(self, name: str, element: Element) -> None:
        """Puts an element behind the last child of that name."""
        position = max(index for index, child in enumerate(self.children) if child.name == name)
        self.children.insert(position + 1, element)


def write(root: Element, *, form: str = "default", indent: bool = False) -> bytes:
    """The document as UTF-8; `form` is one of `FORMS`."""
    writer = _Writer(root, form, indent)
    writer.write(root, 0, "" if form == "local" else writer.declarations)
    return "".join(writer.parts).encode()


class _Writer:
    """Collects the text of a document in one form."""

    def __init__(self, root: Element, form: str, indent: bool) -> None:
        own, cac, cbc = FORMS[form]
        namespace = f"urn:oasis:names:specification:ubl:schema:xsd:{root.name}-2"
        self.parts = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._prefixes = {"": own, "cac": cac, "cbc": cbc}
        self._namespaces = {"": namespace, "cac": CAC, "cbc": CBC}
        self._local = form == "local"
        self._indent = indent

    @property
    def declarations(self) -> str:
        """All namespaces, for the document element."""
        uris = self._namespaces
        return "".join(
            f' xmlns:{prefix}="{uris[kind]}"' if prefix else f' xmlns="{uris[kind]}"'
            for kind, prefix in self._prefixes.items()
        )

    def write(self, element: Element, depth: int, declarations: str, around: str = "") -> None:
        """Appends an element; `around` is the kind of namespace that is the default one where it stands."""
        kind, _, name = element.name.rpartition(":")
        if self._local and (depth == 0 or kind != around):
            declarations = f' xmlns="{self._namespaces[kind]}"'
        tag = f"{self._prefixes[kind]}:{name}" if self._prefixes[kind] else name
        attributes = "".join(f" {name}={quoteattr(value)}" for name, value in element.attributes.items())
        line = "\n" + "  " * depth if self._indent or depth == 0 else ""
        self.parts.append(f"{line}<{tag}{declarations}{attributes}")
        if not element.text and not element.children:
            self.parts.append("/>")
            return
        self.parts.append(f">{escape(element.text)}")
        for child in element.children:
            self.write(child, depth + 1, "", kind)
        if element.children and self._indent:
            self.parts.append("\n" + "  " * depth)
        self.parts.append(f"</{tag}>")
