"""Names of files and folders at the receiver: restricted characters, no way out of the folder."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Mapping

from tieout.errors import ConfigurationInvalid

_FORBIDDEN = re.compile(r"[^A-Za-z0-9._-]+")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INT_FORMAT = re.compile(r"0?[0-9]{0,3}d?")
_TEXT_WIDTH_FORMAT = re.compile(r"[0-9]{0,3}s?")
_NAME_BYTES = 255


def safe_name(value: str, *, max_length: int = 120, upper: bool = False) -> str:
    """Make one path component out of any text.

    Characters other than `A-Z a-z 0-9 . _ -` become `_` (a run of them, one), leading dots go, and what is left
    is cut to `max_length` characters. A text of which nothing remains becomes `_`.

    Args:
        value: Any text, for instance an invoice number or a cost centre.
        max_length: Longest result, at least 1.
        upper: Upper-case the result, as some partners ask.

    Returns:
        A non-empty name without separators that begins with no dot.

    Example:
        >>> safe_name("../RE 2026/0042")
        'RE_2026_0042'
    """
    name = _FORBIDDEN.sub("_", value).lstrip("._")[:max_length]
    return (name.upper() if upper else name) or "_"


def render_name(template: str, values: Mapping[str, object]) -> str:
    """Fill a partner's file name template.

    Args:
        template: For instance `{entity}_{instance}_{timestamp}_{seq:04d}.csv`. A number may carry an integer
            format (`04d`), a text a minimum width; anything else is refused.
        values: The placeholders' values. Every value but an integer goes through `safe_name`.

    Raises:
        ConfigurationInvalid: An unknown placeholder, attribute or index access, a bad format, or a result that
            is no plain file name.
    """
    parts: list[str] = []
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigurationInvalid(f"The file name template {template!r} cannot be read: {error}.") from error
    for literal, placeholder, spec, conversion in fields:
        parts.append(literal)
        if placeholder is not None:
            parts.append(_placeholder(template, placeholder, spec or "", conversion, values))
    return _checked_name(template, "".join(parts))


def remote_join(root: str, *parts: str) -> str:
    """Join an absolute remote folder and relative parts to one path.

    Args:
        root: Absolute POSIX path, such as `/inbound`.
        parts: Relative paths of one or more components each.

    Raises:
        ConfigurationInvalid: A root that is not absolute, or a part that is empty, absolute, holds NUL or a line
            break, or leads elsewhere (`.`, `..`).
    """
    if not root.startswith("/"):
        raise ConfigurationInvalid(f"The remote folder {root!r} must be an absolute path, such as '/inbound'.")
    components = _components(root, root.strip("/"), allow_empty=True)
    for part in parts:
        if part.startswith("/"):
            raise ConfigurationInvalid(f"The remote path part {part!r} must be relative to {root!r}: drop the '/'.")
        components += _components(part, part, allow_empty=False)
    return "/" + "/".join(components)


def temporary_path(remote_path: str, sha256: str) -> str:
    """The temporary name next to a final one: `.<final>.<first 8 of the SHA-256>.part`.

    It is the same for every attempt at the same bytes, so that an interrupted upload is resumed; other bytes for
    the same final name get another one, so that two attempts can never mix their bytes in one file.
    """
    folder, _, name = remote_path.rpartition("/")
    temporary = f".{name}.{sha256[:8]}.part"
    if len(temporary.encode()) + len(".void") > _NAME_BYTES:
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        temporary = f".{digest}.{sha256[:8]}.part"
    return f"{folder}/{temporary}"


def void_path(temp_path: str) -> str:
    """Where a look-up puts a verified temporary file aside; its being there proves that it was never renamed."""
    return temp_path + ".void"


def _components(shown: str, path: str, *, allow_empty: bool) -> list[str]:
    if not path and allow_empty:
        return []
    components = path.split("/")
    for component in components:
        if component in ("", ".", ".."):
            raise ConfigurationInvalid(f"The remote path {shown!r} holds an empty part, '.' or '..': spell it out.")
        if any(ord(char) < 32 or ord(char) == 127 for char in component):
            raise ConfigurationInvalid(f"The remote path {shown!r} holds a control character, which is not allowed.")
    return components


def _placeholder(template: str, name: str, spec: str, conversion: str | None, values: Mapping[str, object]) -> str:
    if conversion or not _FIELD.fullmatch(name):
        raise ConfigurationInvalid(
            f"The file name template {template!r} may hold plain placeholders only, not '{{{name}}}'"
            f"{' with !' + conversion if conversion else ''}."
        )
    if name not in values:
        known = ", ".join(sorted(values)) or "none"
        raise ConfigurationInvalid(
            f"The file name template {template!r} has the unknown placeholder '{{{name}}}'; known are: {known}."
        )
    value = values[name]
    if isinstance(value, int) and not isinstance(value, bool):
        if not _INT_FORMAT.fullmatch(spec):
            raise ConfigurationInvalid(
                f"The file name template {template!r} gives '{{{name}}}' the format {spec!r};"
                " for a number write a width such as '04d'."
            )
        return format(value, spec)
    if not _TEXT_WIDTH_FORMAT.fullmatch(spec):
        raise ConfigurationInvalid(
            f"The file name template {template!r} gives '{{{name}}}' the format {spec!r}, but its value is a text."
        )
    return safe_name(str(value)).ljust(int(spec.rstrip("s") or 0), "_")


def _checked_name(template: str, name: str) -> str:
    if not name or name.startswith(".") or _FORBIDDEN.search(name) or len(name) > _NAME_BYTES:
        raise ConfigurationInvalid(
            f"The file name template {template!r} gives {name[:80]!r}, which is no plain file name: use letters,"
            " digits, '.', '_' and '-', at most 255 of them and no dot first."
        )
    return name
