"""Instance files: what is refused, where and with which words; what holds for a client in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.integrations.banqup_to_sftp.rehearsal import FILE_NAME, read_config
from tieout.errors import ConfigurationInvalid
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig

INSTANCE = """\
timezone: Europe/Brussels
defaults:
  conn_id: shared
  activated_at: 2026-01-01
  invoice_path: /in/[external_id]_[uen_number]/[invoice_type]
clients:
  - external_id: C1
    uen_number: 0701234576
    space_id: space-1
  - external_id: C2
    uen_number: BE 0702.469.050
    space_id: space-2
"""


def changed(*replacements: tuple[str, str]) -> str:
    text = INSTANCE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def client(name: str = "C1", *replacements: tuple[str, str]) -> BanqupClientConfig:
    return read_config(changed(*replacements)).enabled_clients()[name]


C1 = "space_id: space-1\n"


def with_c1(lines: str) -> tuple[str, str]:
    """Further keys of the first client, from line 10 on."""
    return (C1, C1 + "".join(f"    {line}\n" for line in lines.split("\n")))


DEFAULT_PATH = "/in/[external_id]_[uen_number]/[invoice_type]"

REFUSED: list[Any] = [
    pytest.param(
        (DEFAULT_PATH, "/in/[external_id]/[company]"), 5, "defaults.invoice_path",
        "[company] is no variable of a path; known are [external_id], [uen_number], [invoice_type], [file_type], "
        "[year]", id="unknown variable",
    ),
    pytest.param((DEFAULT_PATH, "/in/[ year ]"), 5, "defaults.invoice_path", "[ year ] is no variable", id="blanks"),
    pytest.param((DEFAULT_PATH, "/in/[]"), 5, "defaults.invoice_path", "[] is no variable", id="nothing in brackets"),
    pytest.param(
        with_c1("statement_path: /in/[Year]"), 10, "clients[0].statement_path", "[Year] is no variable",
        id="unknown variable of one client",
    ),
    pytest.param((DEFAULT_PATH, "/in/../[external_id]"), 5, "invoice_path", "'.' or '..'", id="dots"),
    pytest.param((DEFAULT_PATH, "/in/./[external_id]"), 5, "invoice_path", "'.' or '..'", id="a dot"),
    pytest.param((DEFAULT_PATH, "/in//[external_id]"), 5, "invoice_path", "an empty part", id="two slashes"),
    pytest.param((DEFAULT_PATH, "//in/[external_id]"), 5, "invoice_path", "an empty part", id="two slashes first"),
    pytest.param((DEFAULT_PATH, "in/[external_id]"), 5, "invoice_path", "a path begins with /", id="no slash"),
    pytest.param((DEFAULT_PATH, '"[external_id]"'), 5, "invoice_path", "a path begins with /", id="variable first"),
    pytest.param((DEFAULT_PATH, "/in/[external_id"), 5, "invoice_path", "with both brackets", id="not closed"),
    pytest.param((DEFAULT_PATH, "/in/external_id]"), 5, "invoice_path", "with both brackets", id="not opened"),
    pytest.param((DEFAULT_PATH, "/in/[[year]]/[external_id]"), 5, "invoice_path", "with both brackets", id="nested"),
    pytest.param((DEFAULT_PATH, "/in/[ye/ar]/x"), 5, "invoice_path", "with both brackets and no /", id="across parts"),
    pytest.param(
        (DEFAULT_PATH, '"/in/[external_id]\\tx"'), 5, "invoice_path", "control characters", id="control character"
    ),
    pytest.param((DEFAULT_PATH, '""'), 5, "invoice_path", "a path begins with /", id="no path at all"),
    pytest.param(
        ("external_id: C2", "external_id: c1"), 10, "clients[1].external_id",
        "client C1 has the same external_id. Give each client a number of its own.", id="external_id twice",
    ),
    pytest.param(
        ("space-2", "SPACE-1"), 12, "clients[1].space_id",
        "client C1 has the same space_id. Each client has a space of its own in Banqup.", id="space_id twice",
    ),
    pytest.param(
        (DEFAULT_PATH, "/in/[invoice_type]"), 10, "clients[1]", "client C1 has the same folder", id="folder twice"
    ),
    pytest.param((DEFAULT_PATH, "/in/[year]"), 10, "clients[1]", "client C1 has the same folder", id="a folder a year"),
    pytest.param(
        ("BE 0702.469.050", "BE0701234576"), 0, "", "", id="the same number, other folders",
    ),
    pytest.param(
        with_c1("statement_path: /in/C2_0702469050/[file_type]\ninvoice_types: {statements: cod}"), 0, "", "",
        id="below another's folder, not in it",
    ),
    pytest.param(
        with_c1("statement_path: /in/C2_0702469050/[invoice_type]"), 11, "clients[1]",
        "client C1 has the same folder", id="one's statements among another's",
    ),
    pytest.param(
        with_c1("invoice_path: /in/C2_0702469050/AR"), 11, "clients[1]", "client C1 has the same folder",
        id="a folder spelled out",
    ),
    pytest.param(
        ("  conn_id: shared\n", ""), 6, "clients[0]", "conn_id is missing. Give it here or under defaults.",
        id="no conn_id",
    ),
    pytest.param(
        ("  activated_at: 2026-01-01\n", ""), 6, "clients[0]", "activated_at is missing", id="no activated_at"
    ),
    pytest.param(
        (f"  invoice_path: {DEFAULT_PATH}\n", ""), 6, "clients[0]", "invoice_path is missing", id="no invoice_path"
    ),
    pytest.param(("    space_id: space-2\n", ""), 10, "clients[1].space_id", "this key is missing", id="no space_id"),
    pytest.param(
        ("    uen_number: 0701234576\n", ""), 7, "clients[0].uen_number", "this key is missing", id="no uen_number"
    ),
    *(
        pytest.param(
            ("2026-01-01", moment), 4, "defaults.activated_at", "a moment is written such as 2026-01-01T00:00:00Z",
            id=f"moment {moment}",
        )
        for moment in ("soon", "1.1.2026", "20260101", "2026", "1767225600", "true")
    ),
    *(
        pytest.param(("2026-01-01", moment), 4, "defaults.activated_at", said, id=f"moment {moment}")
        for moment, said in (("2026-02-30", "day"), ("2026-01-01T25:00:00Z", "valid datetime"), ("2026-13-01", "month"))
    ),
    pytest.param(
        ("activated_at: 2026", "activated_on: 2026"), 4, "defaults.activated_on",
        "this key is not known here. Did you mean `activated_at`?", id="unknown key of the defaults",
    ),
    pytest.param(
        with_c1("spaceid: x"), 10, "clients[0].spaceid", "Did you mean `space_id`?", id="unknown key of a client"
    ),
    pytest.param(
        ("timezone: Europe/Brussels", "timezone: Brussels"), 1, "timezone", "no time zone of the IANA database",
        id="time zone",
    ),
    pytest.param(with_c1("invalid: drop"), 10, "clients[0].invalid", "'hold' or 'deliver'", id="invalid"),
    pytest.param(with_c1("port: 70000"), 10, "clients[0].port", "65535", id="port"),
    pytest.param(with_c1("concurrency: 0"), 10, "clients[0].concurrency", "it is 0", id="concurrency"),
    pytest.param(with_c1("uen_format: dots"), 10, "clients[0].uen_format", "'digits' or 'vat'", id="uen_format"),
    pytest.param(
        with_c1("invoice_types: {purchases: ../AP}"), 10, "clients[0].invoice_types.purchases", "should match",
        id="invoice type that leads elsewhere",
    ),
    pytest.param(
        with_c1("file_types: {statements: a/b}"), 10, "clients[0].file_types.statements", "should match",
        id="file type with a slash",
    ),
    pytest.param(
        with_c1("invoice_types: {receipts: RC}"), 10, "clients[0].invoice_types", "'purchases', 'sales' or",
        id="a kind of document that there is not",
    ),
    pytest.param(
        ("external_id: C1", "external_id: ../C1"), 7, "clients[0].external_id", "should match", id="external_id"
    ),
    pytest.param(("clients:", "delivery: {file_mode: 436}\nclients:"), 6, "delivery.file_mode", "in quotes", id="mode"),
    pytest.param(("clients:", "delivery: {task: 3}\nclients:"), 6, "delivery.task", "`tasks`", id="unknown option"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "line", "key", "said"), REFUSED)
def test_what_is_refused_says_where_and_why(change: tuple[str, str], line: int, key: str, said: str) -> None:
    if not line:
        read_config(changed(change))
        return
    with pytest.raises(ConfigurationInvalid) as refusal:
        read_config(changed(change))
    message = str(refusal.value)
    assert f"{FILE_NAME}, line {line}" in message
    assert key in message and said in message


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigurationInvalid) as refusal:
        read_config(changed(("  conn_id: shared\n", ""), ("  activated_at: 2026-01-01\n", "")))
    lines = str(refusal.value).splitlines()
    assert len(lines) == 4
    assert [line.partition(":")[0] for line in lines] == [
        f"{FILE_NAME}, line {number}, clients[{index}]" for number, index in ((5, 0), (5, 0), (8, 1), (8, 1))
    ]


def test_no_clients() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"line 6, clients: .* at least 1"):
        read_config(INSTANCE.partition("clients:")[0] + "clients: []\n")


def test_what_nobody_says() -> None:
    found = client()
    assert found == BanqupClientConfig(
        external_id="C1", name="", uen_number="0701234576", space_id="space-1", conn_id="shared", host=None, port=None,
        user=None, activated_at=datetime(2025, 12, 31, 23, tzinfo=UTC), invoice_path=DEFAULT_PATH,
        statement_path=DEFAULT_PATH, invoice_types={"purchases": "AP", "sales": "AR", "statements": "BANK"},
        file_types={"purchases": "xml", "sales": "xml", "statements": "cod"}, invalid="hold", concurrency=128,
    )  # fmt: skip
    assert found.title == "C1"
    config = read_config(INSTANCE)
    assert (config.delivery.file_mode, config.delivery.directory_mode) == (0o664, 0o755)
    assert config.schedule == "*/30 * * * *"


def test_defaults_and_what_one_client_has_instead() -> None:
    defaults = (
        "conn_id: shared",
        "conn_id: shared\n  host: a.example\n  port: 2222\n  user: partner\n  uen_format: vat\n  invalid: deliver\n"
        "  concurrency: 4\n  invoice_types: {purchases: IN, sales: OUT}\n  file_types: {statements: coda}\n"
        "  statement_path: /bank/[external_id]/[file_type]/[year]/[invoice_type]",
    )
    own = with_c1(
        "name: Bakkerij\nconn_id: own\nhost: b.example\nport: 22\nuser: me\nuen_format: digits\ninvalid: hold\n"
        "concurrency: 1\ninvoice_types: {sales: SALE}\nfile_types: {purchases: ubl}\n"
        "invoice_path: /x/[invoice_type]/[file_type]\nactivated_at: 2026-02-01T00:00:00Z"
    )
    first, second = client("C1", defaults, own), client("C2", defaults, own)

    assert (first.conn_id, first.host, first.port, first.user) == ("own", "b.example", 22, "me")
    assert (first.invalid, first.concurrency, first.uen_number) == ("hold", 1, "0701234576")
    assert first.title == "C1 Bakkerij" and first.activated_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert [first.folder(kind, "2026") for kind in ("purchases", "sales", "statements")] == [
        "/x/IN/ubl", "/x/SALE/xml", "/bank/C1/coda/2026/BANK",
    ]  # fmt: skip
    assert (second.conn_id, second.host, second.port, second.user) == ("shared", "a.example", 2222, "partner")
    assert (second.invalid, second.concurrency, second.uen_number) == ("deliver", 4, "BE0702469050")
    assert second.folder("sales", "2026") == "/in/C2_BE0702469050/OUT"


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-01-01T00:00:00", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("2026-01-01 00:00", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00.000001Z", datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)),
        ("2026-01-01T00:00:00+05:30", datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        ('"2026-01-01"', datetime(2025, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_the_zone_of_an_activation(written: str, moment: datetime) -> None:
    found = client("C1", ("2026-01-01", written)).activated_at
    assert found == moment and found.tzinfo is not None


@pytest.mark.parametrize(
    ("written", "digits", "vat"),
    [
        ("0701234576", "0701234576", "BE0701234576"),
        ('"0701234576"', "0701234576", "BE0701234576"),
        ("BE0701234576", "0701234576", "BE0701234576"),
        ("be 0701.234.576", "0701234576", "BE0701234576"),
        ("1001234567", "1001234567", "BE1001234567"),
        ("BE1001234567", "1001234567", "BE1001234567"),
    ],
)
def test_an_enterprise_number_as_paths_have_it(written: str, digits: str, vat: str) -> None:
    number = ("0701234576", written)
    assert client("C1", number).uen_number == digits
    assert client("C1", number, with_c1("uen_format: vat")).uen_number == vat
    assert client("C1", number).folder("purchases", "2026") == f"/in/C1_{digits}/AP"


def test_codes_of_digits_need_no_quotes() -> None:
    assert client("1042", ("external_id: C1", "external_id: 1042"), ("space-1", "7")).space_id == "7"


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/", "/"),
        ("/in/", "/in"),
        ("/[year]/[external_id]-[file_type]", "/2026/C1-xml"),
        ("/Invoice import/é/[external_id]", "/Invoice import/é/C1"),
        ("/a/...[external_id]", "/a/...C1"),
    ],
)
def test_paths_that_are_taken(path: str, folder: str) -> None:
    own = with_c1(f"invoice_path: {path}")
    assert client("C1", own).folder("purchases", "2026") == folder


def test_a_client_that_is_switched_off_is_not_served() -> None:
    config = read_config(changed(with_c1("enabled: false")))
    assert list(config.enabled_clients()) == ["C2"]
