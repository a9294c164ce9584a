"""Posting that cannot double: rule 6 of the house.

Every effect has an intent row in the ledger first, with a deterministic key that the posted object carries. A reply
that never came leaves the effect UNKNOWN: it is looked up in the target, twice, before anything is sent again, and what
is sent again waits until everything else has gone. All of it happens under one lease per company, so that of two runs,
or of a task and its ghost, only one ever writes.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

from tieout.config import Posting
from tieout.errors import SourceUnavailable, Superseded, TieoutError
from tieout.ledger import Lease, Ledger, PostingResult, PostingRow, RunKey
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError
from tieout.systems.sap_b1.writing import Effect, Write, Written

log = logging.getLogger(__name__)

_MOST_STALLED = 3
_MOST_IDLE = 6
_NOT_FOUND = "-2028"


def posting_key(*identity: str, kind: str, revision: int) -> str:
    """The key that a posted entry carries: the same for the same effect, whoever works it out.

    26 characters of A-Z and 2-7, which every build of SAP keeps in `Reference3` (27 characters).

    >>> posting_key("default", "SBODEMO", "V100", "4711", "inv-1", kind="journal_entry", revision=1)
    'TJSDKSJ6DFBJQSC2ADPBDHX2XM'
    """
    text = "\x1f".join((*identity, kind, str(revision)))
    digest = hashlib.sha256(text.encode()).digest()
    return "T" + kind[0].upper() + base64.b32encode(digest[:15]).decode()


@dataclass(frozen=True)
class Found:
    """What a look-up found in the target.

    Attributes:
        state: `done`, or `awaiting_approval` where an approval procedure made a draft.
        key: The object's key in the target.
        number: The number that people see.
    """

    state: Literal["done", "awaiting_approval"]
    key: str
    number: str = ""


class Effects(Protocol):
    """One kind of effect: how it is asked for, and how to see whether it happened."""

    @property
    def in_batches(self) -> bool:
        """Whether several may go in one request."""

    def write(self, posting: PostingRow) -> Write:
        """The request."""

    def key_of(self, posting: PostingRow, written: Written) -> str | None:
        """The key of what was done, from the reply; None where the reply does not tell and it must be looked up."""

    def look_up(self, postings: Sequence[PostingRow], *, drafts: bool) -> Mapping[int, Found]:
        """Posting id → what the target has of it; those it does not have are missing.

        Args:
            postings: What to look for.
            drafts: Look among what waits for approval too.
        """

    def reconsider(self, posting: PostingRow, written: Written) -> bool:
        """Whether a refused request shall be made again, now that the target has been read once more."""


class Poster:
    """Carries out intended postings, each exactly once.

    Args:
        ledger: Has the intents.
        key: The run that is told as the one that did it.
        lease: On the company; nothing is sent once it is lost.
        client: Writes and reads.
        options: Batch size, streams, how long to wait before a second look.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        key: RunKey,
        lease: Lease,
        client: SapB1Client,
        options: Posting,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._key = key
        self._lease = lease
        self._client = client
        self._options = options
        self._sleep = sleep
        self._batches_work = True

    def settle_leftovers(self, postings: Sequence[PostingRow], effects: Effects) -> None:
        """Find out what became of postings whose sender did not live to see the reply.

        Raises:
            SourceUnavailable: nobody can tell now; nothing may be posted until somebody can.
        """
        self._look_until_quiet(list(postings), effects, {})

    def post(self, postings: Sequence[PostingRow], effects: Effects) -> dict[int, PostingResult]:
        """Carry out the postings; id → what became of it.

        Raises:
            SourceUnavailable: the target cannot serve, or some replies never came and nothing was found: those stay
                unknown and are looked up by the next attempt before anything is posted again.
            Superseded: another run has taken over.
        """
        results: dict[int, PostingResult] = {}
        lasting: list[PostingRow] = []
        # The ledger may be younger than the books.
        found = self._look(postings, effects, results, drafts=False)
        todo = [posting for posting in postings if posting.id not in found]
        stalled = 0
        while todo and stalled < _MOST_STALLED:
            sent = self._round(todo, effects)
            results.update(sent.results)
            lasting += sent.timed_out
            left = self._look_until_quiet(sent.unknown, effects, results, looked=True)
            stalled = 0 if len(left) < len(todo) else stalled + 1
            todo = left
        if lasting or todo:
            count = len(lasting) + len(todo)
            raise SourceUnavailable(
                f"SAP Business One gave no reply to {count} of {len(postings)} postings of {self._key.entity}, and has "
                f"none of them so far ({', '.join(posting.label for posting in (*lasting, *todo)[:5])}). They are "
                "looked up before anything is posted again; the next attempt goes on from here."
            )
        return results

    def _round(self, todo: Sequence[PostingRow], effects: Effects) -> _Round:
        """Send everything once; whatever is certainly not sent is sent again at once, within bounds."""
        outcome = _Round()
        waiting = deque(todo)
        idle = 0
        with ThreadPoolExecutor(self._options.streams, thread_name_prefix="posting") as pool:
            while waiting:
                batches = list(self._take(waiting, effects))
                self._lease.check()
                self._ledger.mark_sending([each.id for batch in batches for each in batch], lease=self._lease)
                replies = list(pool.map(lambda batch: self._send(batch, effects), batches))
                again = self._sort(batches, replies, effects, outcome)
                sent = sum(map(len, batches)) - len(again)
                idle = 0 if sent else idle + 1
                failure = next((reply for reply in replies if isinstance(reply, TieoutError)), None)
                if failure is not None:
                    raise failure
                if idle >= _MOST_IDLE:
                    raise SourceUnavailable(
                        "SAP Business One answers but takes no postings now; nothing was posted by the last "
                        f"{idle} requests. The next attempt goes on from here."
                    )
                waiting.extendleft(reversed(again))
        return outcome

    def _take(self, waiting: deque[PostingRow], effects: Effects) -> Iterator[list[PostingRow]]:
        size = self._options.batch_size if effects.in_batches and self._batches_work else 1
        for _ in range(self._options.streams):
            batch = [waiting.popleft() for _ in range(min(size, len(waiting)))]
            if batch:
                yield batch

    def _send(self, batch: Sequence[PostingRow], effects: Effects) -> list[Written] | TieoutError:
        """One request. An error says that nothing of it was carried out."""
        try:
            writes = [effects.write(posting) for posting in batch]
            if len(writes) == 1:
                return [self._client.write(writes[0], before_send=self._lease.check_local)]
            return self._client.write_batch(writes, before_send=self._lease.check_local)
        except Superseded:
            raise
        except SapError as error:
            if len(batch) == 1:
                return [Written(Effect.REFUSED, error.status, str(error.code), error.message)]
            log.info("SAP Business One takes no batches (%s); postings go one by one.", error)
            self._batches_work = False
            # It says that nothing was carried out; that is cheap to see for oneself.
            return [Written(Effect.UNKNOWN)] * len(batch)
        except TieoutError as error:
            return error

    def _sort(
        self,
        batches: Sequence[Sequence[PostingRow]],
        replies: Sequence[list[Written] | TieoutError],
        effects: Effects,
        outcome: _Round,
    ) -> list[PostingRow]:
        """Enter what is certain into the ledger; returns what was certainly not sent."""
        settled: list[PostingResult] = []
        again: list[PostingRow] = []
        unknown: list[tuple[PostingRow, Written]] = []
        for batch, reply in zip(batches, replies, strict=True):
            if isinstance(reply, TieoutError):
                settled += [PostingResult(posting.id, "not_sent", message="never left") for posting in batch]
                continue
            for posting, written in zip(batch, reply, strict=True):
                key = effects.key_of(posting, written) if written.effect is Effect.DONE else None
                if key:
                    number = str((written.entity or {}).get("Number") or "")
                    settled.append(PostingResult(posting.id, "done", key, number))
                elif written.effect is Effect.REFUSED and not effects.reconsider(posting, written):
                    settled.append(PostingResult(posting.id, "refused", code=written.code, message=written.message))
                elif written.effect in (Effect.NOT_SENT, Effect.REFUSED):
                    settled.append(PostingResult(posting.id, "not_sent", message="to be sent again"))
                    again.append(posting)
                else:
                    unknown.append((posting, written))
        self._settle(settled)
        outcome.results.update({each.posting_id: each for each in settled if each.state in ("done", "refused")})
        if unknown:
            self._first_look(unknown, effects, outcome)
        return again

    def _first_look(self, unknown: Sequence[tuple[PostingRow, Written]], effects: Effects, outcome: _Round) -> None:
        asked = any(written.code == _NOT_FOUND for _, written in unknown)
        found = self._look(([posting for posting, _ in unknown]), effects, outcome.results, drafts=asked)
        refused = []
        for posting, written in unknown:
            if posting.id in found:
                continue
            if written.timed_out:
                outcome.timed_out.append(posting)
            elif written.code == _NOT_FOUND:
                # Neither an entry nor a draft: what SAP did not find is something that the entry refers to.
                refused.append(PostingResult(posting.id, "refused", code=written.code, message=written.message))
            else:
                outcome.unknown.append(posting)
        self._settle(refused)
        outcome.results.update({each.posting_id: each for each in refused})
        if outcome.unknown or outcome.timed_out:
            log.info("No reply for %s of %s postings; they are looked up.", len(unknown) - len(found), len(unknown))

    def _look_until_quiet(
        self,
        postings: list[PostingRow],
        effects: Effects,
        results: dict[int, PostingResult],
        *,
        looked: bool = False,
    ) -> list[PostingRow]:
        """Settle postings of unknown effect: those that two looks in a row do not find are not sent, and returned.

        A server whose reply was lost may still be at work on the request; the reply may also have told of a draft.

        Args:
            postings: Of unknown effect.
            effects: How to look.
            results: What is found goes in here.
            looked: The first look was just taken.
        """
        quiet = 1 if looked else 0
        while postings and quiet < 2:
            if quiet:
                self._sleep(self._options.settle_seconds)
            found = self._look(postings, effects, results, drafts=True)
            postings = [posting for posting in postings if posting.id not in found]
            quiet = quiet + 1 if not found or not quiet else 1
        self._settle([PostingResult(posting.id, "not_sent", message="not found in SAP") for posting in postings])
        return postings

    def _look(
        self, postings: Sequence[PostingRow], effects: Effects, results: dict[int, PostingResult], *, drafts: bool
    ) -> Mapping[int, Found]:
        found = effects.look_up(postings, drafts=drafts)
        settled = [PostingResult(id_, each.state, each.key, each.number) for id_, each in found.items()]
        self._settle(settled)
        results.update({each.posting_id: each for each in settled})
        return found

    def _settle(self, results: Sequence[PostingResult]) -> None:
        if results:
            self._ledger.settle_postings(self._key, results, lease=self._lease)


class _Round:
    """What one pass over the postings brought."""

    def __init__(self) -> None:
        self.results: dict[int, PostingResult] = {}
        self.unknown: list[PostingRow] = []
        self.timed_out: list[PostingRow] = []
