"""What messages look like, whatever words they have to carry."""

from __future__ import annotations

import json

import pytest

from tests.alerts.support import NOON, alert
from tieout.alerts import raise_alert
from tieout.alerts.model import Told
from tieout.alerts.writing import link_path, mail_html, mail_text, plain_json, slack, teams, told
from tieout.ledger import Ledger

NASTY = '<script>alert("x")</script> & <!channel> Société\r\nBcc: x@example.com\x00'


def words(book: Ledger, **changes: str) -> Told:
    raise_alert(book, alert(**changes), now=NOON)
    return told(book.notices()[-1], "https://airflow.example.com/")


def test_a_mail_says_what_happened_what_it_means_what_to_do_and_where(book: Ledger) -> None:
    assert mail_text(words(book)) == (
        "What happened:\nsftp.example.com:22 refuses connections.\n\n"
        "What it means for the money:\nNot delivered yet: invoices (3 records, EUR 12.50).\n\n"
        "What to do:\nAsk Peakflo whether the server is up.\n\n"
        "More: https://airflow.example.com/tieout/#/runs?run_id=r%2B1\n"
    )


def test_texts_of_a_source_stay_texts(book: Ledger) -> None:
    message = words(book, title=NASTY, what=NASTY)
    assert "\n" not in message.subject and "\r" not in message.subject and "\x00" not in message.subject
    assert "<script>" not in mail_html(message) and "&lt;script&gt;" in mail_html(message)
    shown = json.dumps(slack(message)["blocks"][1])
    assert "<!channel>" not in shown and "&lt;!channel&gt;" in shown


def test_slack_and_teams_take_no_longer_texts(book: Ledger) -> None:
    message = words(book, title="t" * 5000, what="w" * 50_000, action="&" * 5000)
    blocks = slack(message)["blocks"]
    assert len(blocks[0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3000 for block in blocks)
    assert len(json.dumps(teams(message)).encode()) < 28_000
    assert len(message.subject) <= 200


def test_forms(book: Ledger) -> None:
    message = words(book)
    assert slack(message)["text"] == message.subject
    assert slack(message)["blocks"][-1]["text"]["text"].endswith("|Open in Tieout>")
    [attachment] = teams(message)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert card["type"] == "AdaptiveCard" and card["actions"][0]["url"] == message.link
    plain = plain_json(message)
    assert plain["kind"] == "receiver_unreachable" and plain["about"] == "raised" and plain["instance"] == "default"
    assert plain["what"] == "sftp.example.com:22 refuses connections." and plain["link"] == message.link


@pytest.mark.parametrize(
    ("page", "narrow", "path"),
    [
        ("runs", {"run_id": "scheduled__2026-11-18T00:00:00+00:00"},
         "#/runs?run_id=scheduled__2026-11-18T00%3A00%3A00%2B00%3A00"),
        ("held", {"integration": "a", "instance": ""}, "#/held?integration=a"),
        ("health", {}, "#/health"),
    ],
)  # fmt: skip
def test_links(page: str, narrow: dict[str, str], path: str) -> None:
    assert link_path(page, **narrow) == path


def test_without_an_address_there_is_no_link(book: Ledger) -> None:
    raise_alert(book, alert(), now=NOON)
    message = told(book.notices()[-1], None)
    assert message.link is None and "More:" not in mail_text(message)
    assert len(slack(message)["blocks"]) == 4 and "actions" not in teams(message)["attachments"][0]["content"]
