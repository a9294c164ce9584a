"""What the partner says of the X12 files it got: read from its folder, entered in the ledger, told in sentences.

Nothing is ever answered: not to the partner, whose acknowledgements are not acknowledged, nor to SYSPRO. Reading a file
a second time changes nothing, so an attempt that is interrupted anywhere is simply repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from tieout.delivery import FileGone, NotCollected, RemoteFile, SftpSession, as_source, remote_join
from tieout.errors import ContractBroken
from tieout.formats.x12.acknowledgements import Acknowledgement, SetAnswer, read_acknowledgements
from tieout.ledger import AcknowledgementRow, Ledger, Scope

MAX_FILE_BYTES = 20_000_000

_PROBLEMS_TOLD = 5
_NAMES_TRIED = 20
_SET_PER_RECORD = ("IN", "PO")  # 810 and 850: every document is a set, numbered from 1 in the order of the file

log = logging.getLogger(__name__)


@dataclass
class AckReport:
    """What a look at the partner's folder brought.

    Attributes:
        files: Files that were read now.
        answers: State → how many files of ours were given it now.
        rejected: A sentence per file of ours that was refused, wholly or in part: what, and what to do.
        overdue: A sentence per file of ours that should have been answered by now.
        newly_overdue: Those of them that were not overdue at the last look.
        warnings: What somebody should look at: answers to nothing we know, files that cannot be read, errors noted.
        waiting: Files that answer something whose delivery is not entered yet; they are read again by the next look.
        archived: Files that were moved.
        left: Files that were read and may not be moved.
    """

    files: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    overdue: list[str] = field(default_factory=list)
    newly_overdue: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waiting: int = 0
    archived: int = 0
    left: int = 0


def collect_acknowledgements(
    session: SftpSession,
    *,
    folder: str,
    patterns: Sequence[str],
    archive: str | None,
    ledger: Ledger,
    partner: Scope,
    now: datetime,
) -> AckReport:
    """Read the acknowledgements that have come, and say which are overdue.

    A file is taken as complete by its own trailers; one that is not, or is no acknowledgement, stays where it is.

    Args:
        session: The partner's server.
        folder: Where it puts its acknowledgements; absolute.
        patterns: Shell patterns of their names, upper and lower case alike.
        archive: Where read files are moved, over `year month day`; None leaves them, and their digests are remembered.
        ledger: Has the files that were sent.
        partner: `Scope(integration, "*", partner's name)`, as their numbers were allocated for.
        now: Aware; by which overdue is judged.

    Raises:
        SourceUnavailable: The connection was lost; the next look goes on from there.
        ReceiverRefused: The folder cannot be listed; the sentence says what to ask for.
    """
    report = AckReport()
    with as_source():
        found = [file for file in session.list_folder(folder) if _matches(file.name, patterns)]
        still_there = ledger.acknowledgement_files_at(partner, [file.path for file in found])
        for file in found:
            # A file without a time may be another one of the same name and size.
            if not file.mtime or (file.path, file.size, file.mtime) not in still_there:
                _take(session, file, archive, ledger, partner, now, report)
    late = ledger.overdue(now, partner)
    report.newly_overdue = [_overdue(row, partner, folder) for row in late.new]
    report.overdue = [_overdue(row, partner, folder) for row in (*late.before, *late.new)]
    for sentence in report.newly_overdue:
        log.error("%s", sentence)
    return report


def _take(
    session: SftpSession,
    file: RemoteFile,
    archive: str | None,
    ledger: Ledger,
    partner: Scope,
    now: datetime,
    report: AckReport,
) -> None:
    """Fetch a file, enter what it says, and put it away."""
    data = bytearray()
    try:
        got = session.download(file.path, data.extend, max_bytes=MAX_FILE_BYTES, expect=file)
    except FileGone as error:
        log.info("%s", error)
        return
    except NotCollected as error:
        report.warnings.append(str(error))
        return
    if not ledger.read_acknowledgement_files(partner, [got.sha256]):
        try:
            answers = read_acknowledgements(bytes(data))
        except ContractBroken as error:
            report.warnings.append(
                f"{file.path} cannot be read as an acknowledgement. {error} It stays where it is; ask the partner for "
                "a correct file, or have it removed if it is something else."
            )
            return
        if any(
            ledger.may_be_on_its_way(partner, group=answer.group, interchange=answer.interchange) for answer in answers
        ):
            report.waiting += 1
            return
        report.files += 1
        for answer in answers:
            _enter(answer, file, ledger, partner, now, report)
    path = _put_away(session, file, archive, got.sha256, now, report)
    ledger.remember_acknowledgement_file(
        partner,
        sha256=got.sha256,
        remote_path=file.path,
        bytes=file.size,
        source_mtime=file.mtime,
        archive_path=path,
    )


def _enter(
    answer: Acknowledgement, file: RemoteFile, ledger: Ledger, partner: Scope, now: datetime, report: AckReport
) -> None:
    """Match an answer to the file it is about, and tell what it says."""
    row = _matched(answer, file, ledger, partner, now)
    if row is None:
        report.warnings.append(_unmatched(answer, file))
        return
    problems = list(_problems(answer, row, ledger))
    if answer.verdict in ("rejected", "partially_accepted"):
        report.rejected.append(_rejection(answer, row, file, partner, problems))
        log.error("%s", report.rejected[-1])
    elif answer.verdict == "accepted_with_errors":
        told = _told(problems) or "without saying which"
        report.warnings.append(f"{partner.entity} accepted {row.file_name} and noted errors: {told} ({file.path}).")
    else:
        log.info("%s accepted %s (%s, %s).", partner.entity, row.file_name, answer.kind, file.path)
    # That an envelope was accepted is no answer to what is in it.
    if row.state != "sent":
        report.answers[row.state] = report.answers.get(row.state, 0) + 1


def _matched(
    answer: Acknowledgement, file: RemoteFile, ledger: Ledger, partner: Scope, now: datetime
) -> AcknowledgementRow | None:
    detail = _detail(answer)
    if answer.group is not None:
        return ledger.acknowledge(
            partner,
            group=answer.group,
            functional_id=answer.functional_id,
            state=answer.verdict,
            ack_file=file.path,
            answered_at=now,
            detail=detail,
        )
    assert answer.interchange is not None, "an answer is about a group or an interchange"
    return ledger.acknowledge_interchange(
        partner,
        interchange=answer.interchange,
        rejected=answer.verdict == "rejected",
        ack_file=file.path,
        answered_at=now,
        detail=detail,
    )


def _detail(answer: Acknowledgement) -> Mapping[str, object]:
    """The answer for the ledger; of thousands of sets, those that something was said of."""
    said = [one for one in answer.to_json()["sets"] if one["status"] != "A" or one["notes"]]
    return answer.to_json() | {"sets": said}


def _problems(answer: Acknowledgement, row: AcknowledgementRow, ledger: Ledger) -> Iterator[str]:
    """What is wrong, in words, with the documents that the sets are."""
    yield from (str(note) for note in answer.notes)
    for one in answer.sets:
        if not one.is_rejected and not one.notes:
            continue
        name = _set_name(one, row, ledger)
        notes = "; ".join(str(note) for note in one.notes)
        verb = "was rejected" if one.is_rejected else "was accepted with errors"
        yield f"{name} {verb}" + (f": {notes}" if notes else "")


def _set_name(one: SetAnswer, row: AcknowledgementRow, ledger: Ledger) -> str:
    name = f"set {one.set_id} {one.control}"
    if row.functional_id not in _SET_PER_RECORD or not one.control.isdecimal() or not int(one.control):
        return name
    label = ledger.label_at(row.file_id, int(one.control))
    return f"{label} ({name})" if label else name


def _rejection(
    answer: Acknowledgement, row: AcknowledgementRow, file: RemoteFile, partner: Scope, problems: Sequence[str]
) -> str:
    wholly = answer.verdict == "rejected"
    what = "rejected" if wholly else "took only a part of"
    subject = (
        f"interchange {answer.interchange:09d}"
        if answer.group is None
        else f"group {answer.group}, {answer.accepted} of {answer.received} sets accepted"
    )
    books = "Nothing of it is" if wholly else "What was rejected is not"
    return (
        f"{partner.entity} {what} {row.file_name} ({row.key.entity}, {subject}; {answer.kind} in {file.path}): "
        f"{_told(problems) or 'no reason is given'}. {books} in its books, although the file was delivered. Correct "
        "what is named, in SYSPRO, in the mapping or in the partner's X12 profile, then send it anew with new control "
        "numbers (`regenerate`); the same bytes (`resend`) would be rejected again."
    )


def _told(problems: Sequence[str]) -> str:
    more = len(problems) - _PROBLEMS_TOLD
    return "; ".join(problems[:_PROBLEMS_TOLD]) + (f"; and {more} more" if more > 0 else "")


def _unmatched(answer: Acknowledgement, file: RemoteFile) -> str:
    subject = (
        f"interchange {answer.interchange:09d}"
        if answer.group is None
        else f"group {answer.group} ({answer.functional_id})"
    )
    return (
        f"{file.path} says of {subject} that it is {answer.verdict.replace('_', ' ')}, and no delivered file has that "
        "number: ask the partner whose file it means."
    )


def _overdue(row: AcknowledgementRow, partner: Scope, folder: str) -> str:
    sent = f" on {row.delivered_at:%Y-%m-%d %H:%M} UTC" if row.delivered_at else ""
    return (
        f"{row.file_name} ({row.key.entity}, group {row.group}) was delivered{sent}, and {partner.entity} should have "
        f"acknowledged it by {row.due_at:%Y-%m-%d %H:%M} UTC; nothing about it is in {folder}. Ask whether it was "
        "processed. If they never got it, send the same bytes again (`resend`); new numbers (`regenerate`) would book "
        "it twice if they did."
    )


def _put_away(
    session: SftpSession, file: RemoteFile, archive: str | None, sha256: str, now: datetime, report: AckReport
) -> str | None:
    """Move a read file into the archive; where it is now, or None if it was left."""
    if archive is not None:
        folder = archive.format(year=f"{now.year:04d}", month=f"{now.month:02d}", day=f"{now.day:02d}")
        for name in _archive_names(file.name, sha256):
            path = remote_join(folder, name)
            moved = session.move(file.path, path, expect=file)
            if moved.outcome in ("moved", "gone"):
                report.archived += moved.outcome == "moved"
                return path
            if moved.outcome == "refused":
                log.warning("%s", moved.reason)
                break
    report.left += 1
    return None


def _archive_names(name: str, sha256: str) -> Iterator[str]:
    """Its own name; where that is taken, one with its digest and a number."""
    stem, dot, suffix = name.rpartition(".")
    yield name
    yield f"{stem}.{sha256[:8]}{dot}{suffix}"
    for number in range(2, _NAMES_TRIED):
        yield f"{stem}.{sha256[:8]}.{number}{dot}{suffix}"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
