"""Names at the partner: templates, capitals, greatest lengths; the files that go beside the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tieout.config import LegacyErpEntity, LegacyErpPartner
from tieout.delivery import render_name
from tieout.errors import ConfigurationInvalid
from tieout.integrations.run import Run

EXTENSIONS = {"csv": "csv", "fixed_width": "dat", "x12": "edi"}


def partner_clock(run: Run, partner: LegacyErpPartner, calendar_zone: str) -> datetime:
    """The run's time by the partner's clock: what headers and names show, the same on every retry."""
    return run.stamp.astimezone(ZoneInfo(partner.time_zone or calendar_zone)).replace(tzinfo=None, microsecond=0)


def file_name(
    partner: LegacyErpPartner,
    entity_name: str,
    entity: LegacyErpEntity,
    *,
    company: str,
    period: str,
    seq: int,
    made: datetime,
    instance: str,
) -> str:
    """A data file's name.

    Raises:
        ConfigurationInvalid: The template is wrong, or the name is longer than the partner takes.
    """
    values: dict[str, object] = {
        "prefix": entity.prefix or entity_name,
        "company": company,
        "period": period,
        "year": period[:4],
        "month": period[4:],
        "seq": seq,
        "ext": entity.ext or EXTENSIONS[entity.format],
        "date": made.strftime("%Y%m%d"),
        "time": made.strftime("%H%M%S"),
        "entity": entity_name,
        "instance": instance,
    }
    return _checked(render_name(partner.file_name, values), partner)


def resent_name(partner: LegacyErpPartner, name: str, times: int) -> str:
    """The name of a file that is sent again, by the partner's rule.

    Args:
        partner: The partner.
        name: The name under which it went first.
        times: How often it has been sent again, this time included.

    Raises:
        ConfigurationInvalid: The rule is wrong, or the name is longer than the partner takes.
    """
    stem, dot, ext = name.rpartition(".")
    values: dict[str, object] = {
        "name": name,
        "stem": stem if dot else name,
        "ext": ext if dot else "",
        "resend": times,
    }
    return _checked(render_name(partner.resend_name, values), partner)


def _checked(name: str, partner: LegacyErpPartner) -> str:
    longest = max(len(suffix or "") for suffix in (partner.checksum_suffix, partner.trigger_suffix, ""))
    if len(name) + longest > partner.max_name_length:
        raise ConfigurationInvalid(
            f"The file name {name!r} is longer than the {partner.max_name_length} characters that the partner takes "
            f"(partner.max_name_length{', suffixes included' if longest else ''}). Shorten partner.file_name or a "
            "prefix; nothing was sent."
        )
    return name.upper() if partner.upper_case else name


def manifest(
    name: str, size: int, sha256: str, records: int, period: str, control_totals: Mapping[str, Any], **more: object
) -> bytes:
    """The file beside a data file with which the partner checks it.

    Args:
        name: The data file's name.
        size: Its bytes.
        sha256: Its digest, hex.
        records: How many source records it has.
        period: YYYYPP.
        control_totals: Decimal text.
        more: What else is worth telling.
    """
    content: dict[str, object] = {
        "file": name,
        "bytes": size,
        "sha256": sha256,
        "records": records,
        "period": period,
        "control_totals": control_totals,
        **more,
    }
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"


def checksum(name: str, sha256: str) -> bytes:
    """As `sha256sum` writes it, so that the partner can run `sha256sum -c`."""
    return f"{sha256}  {name}\n".encode()
