"""What an import did, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import orjson
import polars as pl
from rich.table import Table

from aisle.domain import Refusal
from aisle.ingest.refused import as_refusals

_ROWS_WRITTEN_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that could not be read to its end. ``row`` is the last row that was stored."""

    source: str
    row: int
    message: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The count of an import, over all its sources.

    ``n_rows`` of the sources were read, of which ``n_resumed`` had been stored by an earlier run; ``n_left_out`` the
    mapping's ``keep`` did not want; ``n_refused`` rows were refused. ``n_stored`` rows of ours went to the store (one
    row of a source may give several), of which ``n_new`` and ``n_changed`` changed anything; ``n_duplicate`` said what
    was known already; ``n_waiting`` events wait for their item; ``n_suspect`` are of suspected robots.
    """

    table: str
    sources: tuple[str, ...] = ()
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Columns and event types that were understood under another name: theirs to ours. Empty with a mapping."""
    n_rows: int = 0
    n_resumed: int = 0
    n_left_out: int = 0
    n_refused: int = 0
    n_stored: int = 0
    n_new: int = 0
    n_changed: int = 0
    n_duplicate: int = 0
    n_waiting: int = 0
    n_suspect: int = 0
    refused_fields: Mapping[str, int] = field(default_factory=dict)
    """Refused values by field."""
    refusals: tuple[Refusal, ...] = ()
    """The first refusals."""
    refusals_path: Path | None = None
    """Where all of them stand, one JSON object a line."""
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every source was read to its end."""
        return not self.failures

    def tables(self) -> list[Table]:
        """For the screen: the counts, the first refusals, the failures."""
        counts = Table("", "rows", title=f"Import of {self.table} from {len(self.sources)} source(s)")
        rate = self.n_rows / self.seconds if self.seconds > 0 else 0.0
        counts.add_row(f"read ({rate:,.0f} a second)", f"{self.n_rows:,}")
        for label, count in (
            ("stored by an earlier run", self.n_resumed),
            ("left out by the mapping", self.n_left_out),
            ("refused", self.n_refused),
            ("new", self.n_new),
            ("changed", self.n_changed),
            ("known already", self.n_duplicate),
            ("waiting for their item", self.n_waiting),
            ("of suspected robots", self.n_suspect),
        ):
            if count:
                counts.add_row(label, f"{count:,}")
        shown = [counts]
        if self.refusals:
            n_values = sum(self.refused_fields.values())
            title = f"Refused: first {len(self.refusals)} of {n_values:,} values"
            refused = Table("source", "row", "field", "value", "allowed", title=title)
            for refusal in self.refusals:
                value = refusal.value if len(refusal.value) <= 40 else refusal.value[:39] + "…"
                refused.add_row(Path(refusal.source).name, f"{refusal.row:,}", refusal.field, value, refusal.allowed)
            shown.append(refused)
        if self.failures:
            failed = Table("source", "stored up to row", "what happened", title="Not read to the end")
            for failure in self.failures:
                failed.add_row(Path(failure.source).name, f"{failure.row:,}", failure.message)
            shown.append(failed)
        return shown


class RefusalLog:
    """Refusals of an import: all of them to a JSONL file when one is named, the first few and the counts in memory."""

    def __init__(self, path: Path | None, n_kept: int = 20) -> None:
        self.path = path
        self.first: list[Refusal] = []
        self.fields: dict[str, int] = {}
        self._n_kept = n_kept
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, source: str, refused: pl.DataFrame) -> None:
        """Take in the refusals of one batch of ``source``."""
        if not refused.height:
            return
        for name, count in refused["field"].value_counts().iter_rows():
            self.fields[name] = self.fields.get(name, 0) + count
        missing = self._n_kept - len(self.first)
        if missing > 0:
            self.first.extend(as_refusals(source, refused.head(missing)))
        if self.path is None:
            return
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")
        for page in refused.iter_slices(_ROWS_WRITTEN_AT_ONCE):
            lines = [orjson.dumps({"source": source, **row}) for row in page.iter_rows(named=True)]
            self._file.write(b"\n".join(lines) + b"\n")
        self._file.flush()
