"""Files into the record store: read, draw, clean, append, in batches, so that a killed import can simply be run again.

Enters: paths, a mapping, a ``RecordStore``. Leaves: stored rows and an ``ImportReport``. Each batch is committed
together with a ``Checkpoint``; a second run of the same content with the same mapping starts behind it, so every row
is loaded exactly once. One thread reads and cleans while the other commits.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl

from aisle.contracts import Appended, Checkpoint, Clock, Progress, RecordStore, silent
from aisle.domain import DocumentTable, EventTable, ItemTable, UserTable
from aisle.errors import DataError
from aisle.ingest.cleaning import AnyTable, CleaningConfig, clean
from aisle.ingest.drawing import draw
from aisle.ingest.known import find_mapping, read_as
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import FormatName, TableMapping
from aisle.ingest.refused import ROW
from aisle.ingest.report import Failure, ImportReport, RefusalLog
from aisle.ingest.robots import RobotsConfig, RobotWatch
from aisle.ingest.sources import Source, find_sources, read_batches
from aisle.ingest.streams import read_fingerprint
from aisle.settings import Config

OnBatch = Callable[[AnyTable, Appended], None]
"""Hears of every batch that was stored, e.g. to keep live state and indexes current."""


class ImportConfig(Config):
    """How an import reads, what it believes and whom it suspects."""

    limits: LimitsConfig = LimitsConfig()
    cleaning: CleaningConfig = CleaningConfig()
    robots: RobotsConfig = RobotsConfig()


@dataclass(frozen=True)
class _Batch:
    """A cleaned batch on its way to the store."""

    table: AnyTable
    refused: pl.DataFrame
    n_rows: int
    n_left_out: int
    n_duplicate: int
    n_suspect: int
    end_row: int
    share: float


@dataclass
class _Count:
    """Running sums of an import."""

    table: str
    sources: list[str] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, **counts: int) -> None:
        for name, count in counts.items():
            self.sums[name] = self.sums.get(name, 0) + count


def import_files(
    paths: Sequence[str | Path],
    mapping: TableMapping | str | Path | None,
    records: RecordStore,
    *,
    clock: Clock,
    config: ImportConfig = ImportConfig(),  # noqa: B008 - frozen
    format: FormatName | None = None,
    on_batch: OnBatch | None = None,
    progress: Progress = silent,
    refusals_path: Path | None = None,
    stdin: BinaryIO | None = None,
) -> ImportReport:
    """Bring one table in from files, folders, globs or standard input (``-``).

    A source that cannot be read to its end keeps what was stored and is named in ``failures``; the others go on.

    Args:
        paths: what to read, in order.
        mapping: a ``TableMapping``, a TOML file, the name of a ready adapter (``ga4``, ...), or None when the columns
            have our names already.
        records: where rows go.
        clock: for times that lie ahead of it.
        config: limits, cleaning and robots.
        format: of sources whose name does not tell; needed for standard input.
        on_batch: called after each commit with what was stored.
        progress: hears (file, source rows done, source rows in all as estimated from what was read so far).
        refusals_path: a JSONL file for all refusals, written anew.
        stdin: standard input, when ``-`` is among the paths.

    Raises:
        ConfigError: a mapping or a path that cannot be used at all.
        DataError: nothing to read.
        UnavailableError: the store does not take rows now; run the same import again later, it goes on where it was.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        sources = find_sources(paths, format or _format_of(mapping), stack, stdin)
        chosen = find_mapping(mapping, sources[0], config.limits)
        understood = read_as(chosen, sources[0], config.limits) if mapping is None else {}
        log = stack.enter_context(RefusalLog(refusals_path))
        count = _Count(chosen.table)
        watch = RobotWatch(config.robots)
        for source in sources:
            count.sources.append(source.name)
            _import_source(source, chosen, records, clock, config, watch, log, count, on_batch, progress)
    return ImportReport(
        table=chosen.table,
        sources=tuple(count.sources),
        read_as=understood,
        **count.sums,
        refused_fields=dict(log.fields),
        refusals=tuple(log.first),
        refusals_path=refusals_path if log.fields else None,
        failures=tuple(count.failures),
        seconds=time.perf_counter() - started,
    )


def _format_of(mapping: TableMapping | str | Path | None) -> FormatName | None:
    return mapping.format if isinstance(mapping, TableMapping) else None


def _import_source(
    source: Source,
    mapping: TableMapping,
    records: RecordStore,
    clock: Clock,
    config: ImportConfig,
    watch: RobotWatch,
    log: RefusalLog,
    count: _Count,
    on_batch: OnBatch | None,
    progress: Progress,
) -> None:
    """Import one source; a failure of the source itself is noted, a failure of the store is raised."""
    origin = f"{Path(source.name).name}|{mapping.table}|{mapping.fingerprint()}"
    fingerprint = read_fingerprint(source.path)
    kept = records.read_checkpoint(origin, fingerprint)
    done = kept.position if kept is not None else 0
    count.add(n_resumed=done, n_rows=done)
    stored = done
    batches = _cleaned(source, mapping, config, watch, clock, done)
    try:
        with _Ahead(batches) as ahead:
            for batch in ahead:
                log.append(source.name, batch.refused)
                appended = _append(records, batch.table, Checkpoint(origin, fingerprint, batch.end_row))
                stored = batch.end_row
                count.add(
                    n_rows=batch.n_rows,
                    n_left_out=batch.n_left_out,
                    n_refused=batch.refused["row"].n_unique(),
                    n_stored=len(batch.table),
                    n_new=appended.n_new,
                    n_changed=appended.n_changed,
                    n_duplicate=appended.n_duplicate + batch.n_duplicate,
                    n_waiting=appended.n_waiting,
                    n_suspect=batch.n_suspect,
                )
                progress(source.name, stored, max(stored, round(stored / max(batch.share, 1e-6))))
                if on_batch is not None and len(batch.table):
                    on_batch(batch.table, appended)
    except DataError as error:
        message = f"{error}. Rows up to {stored} are stored; mend the source and run the same import again"
        count.failures.append(Failure(source.name, stored, message))


def _cleaned(
    source: Source, mapping: TableMapping, config: ImportConfig, watch: RobotWatch, clock: Clock, done: int
) -> Iterator[_Batch]:
    """Cleaned batches of the rows behind ``done``."""
    before = 0
    for raw in read_batches(source, mapping, config.limits):
        if raw.end_row <= done:
            before = raw.end_row
            continue
        frame, refused = raw.frame, raw.refused
        if before < done:  # the batch size was changed since the earlier run
            frame = frame.filter(pl.col(ROW) > done)
            refused = refused.filter(pl.col("row") > done)
        n_rows = raw.end_row - max(before, done)
        before = raw.end_row
        drawn, n_left_out = draw(frame, mapping)
        cleaned = clean(drawn, mapping, config.cleaning, clock())
        table, n_suspect = cleaned.table, 0
        if isinstance(table, EventTable):
            table, n_suspect = watch.flag(table)
        refused = pl.concat([refused, cleaned.refused])
        yield _Batch(table, refused, n_rows, n_left_out, cleaned.n_duplicate, n_suspect, raw.end_row, raw.share)


def _append(records: RecordStore, table: AnyTable, checkpoint: Checkpoint) -> Appended:
    """Store a batch and how far it goes in one transaction; an empty one still moves the checkpoint."""
    match table:
        case ItemTable():
            return records.append_items(table, checkpoint)
        case UserTable():
            return records.append_users(table, checkpoint)
        case EventTable():
            return records.append_events(table, checkpoint)
        case DocumentTable():
            return records.append_documents(table, checkpoint)


class _Ahead:
    """Runs an iterator in a thread of its own, two batches ahead at most; its error is raised where it is used."""

    def __init__(self, batches: Iterator[_Batch]) -> None:
        self._batches = batches
        self._waiting: queue.Queue[_Batch | BaseException | None] = queue.Queue(maxsize=2)
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="import-reader", daemon=True)

    def __enter__(self) -> Iterator[_Batch]:
        self._thread.start()
        return self._drain()

    def __exit__(self, *error: object) -> None:
        self._is_stopped.set()
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        self._thread.join()

    def _drain(self) -> Iterator[_Batch]:
        while True:
            batch = self._waiting.get()
            if batch is None:
                return
            if isinstance(batch, BaseException):
                raise batch
            yield batch

    def _run(self) -> None:
        try:
            for batch in self._batches:
                if not self._put(batch):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, batch: _Batch | BaseException | None) -> bool:
        while not self._is_stopped.is_set():
            with suppress(queue.Full):
                self._waiting.put(batch, timeout=0.1)
                return True
        return False
