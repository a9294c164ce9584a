"""From an OData entity set to staged Parquet parts, complete and in key order.

The first page tells whether there is more. If it is worth it, the remaining integer keys are split into ranges that
workers read side by side; each range writes part files of its own, so the staged order is key order whatever the
timing. Then the server's count is compared with what was read, and keys that are missing are fetched by name.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tieout.errors import ContractBroken
from tieout.odata.entity_read import EntityRead, Source
from tieout.odata.keyset import KeyRange, KeysetWalk, WalkedPage, last_key, split
from tieout.odata.manifest import ExtractManifest
from tieout.odata.query import Key, KeyType, key_filters
from tieout.odata.staged_walk import KeyLog, StagedWalk, Tally, temporary_key_log
from tieout.staging import Folder, remove_parts

log = logging.getLogger(__name__)

_RANGES_PER_WORKER = 4
_COUNT_ATTEMPTS = 3


def extract(
    source: Source,
    read: EntityRead,
    folder: Folder,
    *,
    workers: int = 4,
    server_time: str | None = None,
) -> ExtractManifest:
    """Reads an entity set and stages it as Parquet parts in `folder`.

    What an earlier attempt left in the folder is removed first; the same source data gives the same bytes again.

    Args:
        source: The service; used by several threads at once.
        read: What to read.
        folder: Where to; made if need be.
        workers: Most pages that are read at once.
        server_time: The server's clock at the start, as text.

    Raises:
        ContractBroken: The server loses filter or order, or its count never agrees with what it lists.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_parts(folder)
    with temporary_key_log() as keys:
        manifest = _Extraction(source, read, folder, max(1, workers), KeyLog(Path(keys))).run()
    manifest = replace(manifest, server_time=server_time)
    log.info(
        "%s: %d records staged in %d parts (%d bytes) with %d requests",
        read.entity_set, manifest.records, len(manifest.parts), manifest.bytes, manifest.requests,
    )  # fmt: skip
    return manifest


class _Extraction:
    def __init__(self, source: Source, read: EntityRead, folder: Folder, workers: int, keys: KeyLog) -> None:
        self._source = source
        self._read = read
        self._query = read.query()
        self._folder = folder
        self._workers = workers
        self._keys = keys
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._extra: dict[Key, None] = dict.fromkeys(read.extra_keys)
        self._requests = 0
        self._walks = 0
        self._total = Tally()

    def run(self) -> ExtractManifest:
        self._read_ranges(self._read_first_page())
        vanished = self._check_count()
        missing = self._read_by_key(list(self._extra))
        total = self._total
        return ExtractManifest(
            entity=self._read.entity_set,
            records=total.records,
            source_rows=total.rows,
            parts=tuple(total.parts),
            max_key=None if total.max_key is None else str(total.max_key),
            max_values=dict(sorted(total.max_values.items())),
            custom_fields={level: tuple(sorted(names)) for level, names in sorted(total.custom.items())},
            requests=self._requests,
            vanished=vanished,
            missing_keys=tuple(str(key) for key in missing),
        )

    # -- reading --------------------------------------------------------------------------------------------------

    def _fetch(self, params: Mapping[str, str]) -> bytes:
        with self._lock:
            self._requests += 1
        return self._source.get_page(self._read.entity_set, params)

    def _count(self) -> int:
        with self._lock:
            self._requests += 1
        return self._source.count(self._read.entity_set, self._read.filter)

    def _read_first_page(self) -> list[KeyRange]:
        """Stages the first page; returns the ranges that are left to read."""
        first = next(iter(KeysetWalk(self._fetch, self._query)), None)
        if first is None:
            return []
        self._total.add(self._stage([first], self._next_walk()), self._read.key_type)
        return self._ranges_after(first.keys) if first.more else []

    def _ranges_after(self, first: Sequence[Key]) -> list[KeyRange]:
        after, page_size = first[-1], len(first)
        if self._read.key_type is not KeyType.INTEGER or self._workers == 1:
            return [KeyRange(after)]
        left = self._count() - page_size
        if left <= page_size:
            return [KeyRange(after)]
        last = last_key(self._fetch, self._query)
        if last is None:
            return [KeyRange(after)]
        return split(int(after), int(last), left, page_size, self._workers * _RANGES_PER_WORKER)

    def _read_ranges(self, ranges: Sequence[KeyRange]) -> None:
        if not ranges:
            return
        with ThreadPoolExecutor(min(self._workers, len(ranges)), thread_name_prefix=self._read.entity_set) as pool:
            futures = [pool.submit(self._read_range, bounds, self._next_walk()) for bounds in ranges]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                # The other workers end with their current page; what they would still read is of no use.
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for future in futures:
            self._total.add(future.result(), self._read.key_type)

    def _read_range(self, bounds: KeyRange, walk: int) -> Tally:
        return self._stage(KeysetWalk(self._fetch, self._query, bounds), walk)

    def _stage(self, pages: Iterable[WalkedPage], walk: int) -> Tally:
        with StagedWalk(self._read, self._folder, walk, self._keys) as staged:
            for page in pages:
                if self._stop.is_set():
                    break
                staged.add(page.body, page.keys, page.label)
                self._forget_extra(page.keys)
                log.debug("%s: %s: %d rows", self._read.entity_set, page.label, len(page.keys))
        return staged.tally

    def _next_walk(self) -> int:
        self._walks += 1
        return self._walks - 1

    def _forget_extra(self, keys: Iterable[Key]) -> None:
        with self._lock:
            if self._extra:
                for key in keys:
                    self._extra.pop(key, None)

    # -- completeness ---------------------------------------------------------------------------------------------

    def _check_count(self) -> int:
        """Compares the server's count with what was read, and fetches what is missing.

        Returns:
            How many rows are gone since they were read.
        """
        vanished = listed = counted = 0
        for attempt in range(1, _COUNT_ATTEMPTS + 1):
            counted = self._count()
            if counted == self._total.rows - vanished:
                return vanished
            listed, missing, vanished = self._compare_keys()
            log.info(
                "%s: the server counts %d, %d were read; of %d keys listed now %d are new and %d are gone (check %d)",
                self._read.entity_set, counted, self._total.rows, listed, len(missing), vanished, attempt,
            )  # fmt: skip
            self._read_by_key(missing)
            if counted <= listed:
                # Rows came or went between count and list; all that the server lists is staged.
                return vanished
        raise ContractBroken(
            f"The server counts {counted} {self._read.entity_set} for the filter {self._read.filter or '(none)'}, but "
            f"lists only {listed}, also when asked again. Records are missing; nothing of this read is used."
        )

    def _compare_keys(self) -> tuple[int, list[Key], int]:
        """Lists the keys anew: how many, which ones are not staged, and how many staged ones are gone.

        Both lists are in the server's order, so equal keys meet soon and cancel out; what is kept in memory is only
        what differs.
        """
        listed = 0
        only_listed: dict[Key, None] = {}
        only_staged: dict[Key, None] = {}
        staged = iter(self._keys)
        for page in KeysetWalk(self._fetch, self._query, keys_only=True):
            listed += len(page.keys)
            _cancel(page.keys, only_listed, only_staged)
            _cancel(islice(staged, len(page.keys)), only_staged, only_listed)
        _cancel(staged, only_staged, only_listed)
        return listed, list(only_listed), len(only_staged)

    def _read_by_key(self, keys: Sequence[Key]) -> list[Key]:
        """Stages rows by their keys, in parts of their own; returns the keys that do not exist."""
        if not keys:
            return []
        left = dict.fromkeys(keys)
        pages = (page for text, _ in key_filters(self._read.key, keys) for page in self._pages_of(text, left))
        self._total.add(self._stage(pages, self._next_walk()), self._read.key_type)
        return list(left)

    def _pages_of(self, filter: str, left: dict[Key, None]) -> Iterator[WalkedPage]:
        for page in KeysetWalk(self._fetch, replace(self._query, filter=filter)):
            for key in page.keys:
                left.pop(key, None)
            yield page


def _cancel(keys: Iterable[Key], mine: dict[Key, None], others: dict[Key, None]) -> None:
    for key in keys:
        if key in others:
            del others[key]
        else:
            mine[key] = None
