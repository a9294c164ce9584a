"""A notice in words: as a mail, for Slack, for Teams, for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from tieout.alerts.model import Told
from tieout.ledger import AlertNotice

HAPPENED, MONEY, ACTION = "What happened", "What it means for the money", "What to do"
_OPEN = "Open in Tieout"
# The limits of Slack's blocks (header 150, section 3000 characters) and of a Teams message (28 KB).
_HEADER, _SECTION, _TEAMS_SECTION = 150, 2900, 6000


def told(notice: AlertNotice, base_url: str | None) -> Told:
    """What a notice says.

    Args:
        notice: Out of the ledger.
        base_url: Airflow's address as people reach it; the notice's own goes before it.
    """
    content = notice.content
    over = notice.about == "resolved"
    title = str(content.get("title", ""))
    if over:
        title = content.get("back_title") or f"over: {title}"
    sections = _over(content) if over else _sections(notice)
    link = _link(content.get("base_url") or base_url, content.get("link_path", ""))
    names = ("kind", "integration", "instance", "about", "key")
    return Told(
        subject=_one_line(title if title.startswith("Tieout") else f"Tieout: {title}"),
        sections={heading: words for heading, words in sections.items() if words},
        link=link,
        fields={name: getattr(notice, name) for name in names} | {"subject": content.get("subject", "")},
        text=content.get("text", ""),
        html=content.get("html", ""),
    )


def link_path(page: str, **narrow: str) -> str:
    """A place on the Tieout page: `link_path("runs", run_id="a+b")` is `#/runs?run_id=a%2Bb`."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in narrow.items() if value)
    return f"#/{page}?{query}" if query else f"#/{page}"


def _sections(notice: AlertNotice) -> Mapping[str, str]:
    content = notice.content
    happened = str(content.get("what", ""))
    if notice.about == "repeated":
        so_far = f"This still goes on: seen {content['occurrences']} times since {_minute(content['opened_at'])}."
        happened = f"{so_far}\n{happened}"
    return {HAPPENED: happened, MONEY: content.get("money", ""), ACTION: content.get("action", "")}


def _over(content: Mapping[str, Any]) -> Mapping[str, str]:
    back = content.get("back") or f"{content.get('title', '')}: this is over. Nothing is to be done."
    return {HAPPENED: f"{back}\nIt had begun at {_minute(content['opened_at'])}."}


def _minute(iso: str) -> str:
    return f"{iso[:16].replace('T', ' ')} UTC"


def _link(base_url: str | None, path: str) -> str | None:
    return f"{base_url.rstrip('/')}/tieout/{path}" if base_url else None


# --- mail


def mail_text(told: Told) -> str:
    """A mail's body as plain text."""
    if told.text:
        return told.text
    lines = list(_paragraphs(told))
    if told.link:
        lines.append(f"More: {told.link}")
    return "\n\n".join(lines) + "\n"


def _paragraphs(told: Told) -> Iterator[str]:
    for heading, words in told.sections.items():
        yield words if len(told.sections) == 1 else f"{heading}:\n{words}"


def mail_html(told: Told) -> str:
    """The same as HTML."""
    if told.html:
        return told.html
    parts = list(_html_paragraphs(told))
    if told.link:
        parts.append(f'<p><a href="{escape(told.link)}">{_OPEN}</a></p>')
    return f'<html><body style="font-family:sans-serif">{"".join(parts)}</body></html>'


def _html_paragraphs(told: Told) -> Iterator[str]:
    for heading, words in told.sections.items():
        body = escape(words).replace("\n", "<br>")
        yield f"<p>{body}</p>" if len(told.sections) == 1 else f"<h3>{heading}</h3><p>{body}</p>"


# --- webhooks


def slack(told: Told) -> dict[str, Any]:
    """Slack's message: `text` for notifications, `blocks` for what is shown."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(told.subject, _HEADER)}}
    ]
    for heading, words in told.sections.items():
        text = f"*{heading}*\n{_slack_text(_cut(words, _SECTION))}"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, 3000)}})
    if told.link:
        link = f"<{_slack_text(told.link)}|{_OPEN}>"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link}})
    return {"text": _slack_text(told.subject), "blocks": blocks}


def _slack_text(text: str) -> str:
    """The three letters that Slack reads as its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams(told: Told) -> dict[str, Any]:
    """An Adaptive Card, in the form that Teams' workflows ("when a Teams webhook request is received") take."""
    body: list[dict[str, Any]] = [_block(told.subject, size="Large", weight="Bolder")]
    for heading, words in told.sections.items():
        body += [_block(heading, weight="Bolder"), _block(_cut(words, _TEAMS_SECTION).replace("\n", "\n\n"))]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if told.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": _OPEN, "url": told.link}]
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _block(text: str, **look: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **look}


def plain_json(told: Told) -> dict[str, Any]:
    """For machines."""
    keys = {HAPPENED: "what", MONEY: "money", ACTION: "action"}
    words = {keys[heading]: words for heading, words in told.sections.items()}
    return {"title": told.subject, **told.fields, **words, "link": told.link}


def _one_line(text: str) -> str:
    """What may stand in a mail's subject, whatever a source's text brought along."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return _cut(line, 200)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
