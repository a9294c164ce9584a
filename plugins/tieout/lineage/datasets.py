"""Names of datasets: which namespace and name a table, a folder or a staged file has in lineage.

Namespaces are `sapb1://host:port`, `syspro://host:port`, `banqup://host:port` and `sftp://host:port`; of staging `file`
for a local folder, else the store, such as `s3://bucket`. Names stay the same from run to run, or no graph could be
drawn: a partner's folder and not the file of one night, a stage of an entity and not the folder of one run. No account,
no password and no query is ever part of them. docs/lineage.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from tieout.staging import Folder

_PORTS = {"https": 443, "http": 80}
_SETTING = re.compile(r"\{[^{}]*\}")


class Dataset(NamedTuple):
    """A dataset as OpenLineage names it."""

    namespace: str
    name: str


Locate = Callable[[str], Dataset]
"""Entity set, table or kind of file (the first part of a source) → its dataset."""


def web(scheme: str, base_url: str, prefix: str = "") -> Locate:
    """The tables of a system with a web service.

    Args:
        scheme: What the system is called in namespaces, such as `sapb1`.
        base_url: Where it is; only host and port are told.
        prefix: What names begin with, such as the company; none where it is empty.
    """
    parts = urlsplit(base_url)
    namespace = f"{scheme}://{_host(parts.hostname or '')}:{parts.port or _PORTS.get(parts.scheme, 443)}"
    return lambda table: Dataset(namespace, f"{prefix}.{table}" if prefix else table)


def sftp(host: str, port: int, path: str) -> Dataset:
    """A folder on an SFTP server, or the files in it that fit a pattern."""
    return Dataset(f"sftp://{_host(host)}:{port}", path)


def staged(root: Folder, *parts: str) -> Dataset:
    """What a step leaves in staging.

    Args:
        root: The root of staging, a local path or one of an object store.
        parts: DAG, entity, stage; the run's own folder is left out.
    """
    uri = urlsplit(str(root))
    name = "/".join([uri.path.rstrip("/"), *parts])
    if uri.scheme in ("", "file"):
        return Dataset("file", name)
    # Airflow's paths may have a connection before the bucket: `s3://conn@bucket/…`.
    return Dataset(f"{uri.scheme}://{uri.netloc.rpartition('@')[2]}", name.lstrip("/"))


def pattern(template: str) -> str:
    """A file name's template with `*` for whatever differs: `{prefix}_{seq:06d}.csv` → `*_*.csv`."""
    return _SETTING.sub("*", template)


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name
