"""Which sources there are and how each is read: files, folders, globs, standard input.

Enters: paths as people write them. Leaves: ``Source`` records and, of each, batches of raw rows.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from aisle.errors import ConfigError, DataError
from aisle.ingest.csv_rows import csv_batches, csv_columns
from aisle.ingest.json_rows import json_batches, jsonl_batches
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import CsvConfig, FormatName, TableMapping
from aisle.ingest.parquet_rows import parquet_batches
from aisle.ingest.raw import RawBatch
from aisle.ingest.streams import COMPRESSIONS, open_stream
from aisle.ingest.text_rows import text_batches

STANDARD_INPUT = "-"
FORMATS: dict[str, FormatName] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".md": "text",
}
"""File name ending (before .gz or .zst) to format."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. ``name`` is how reports call it; ``is_tabbed`` says that its name promises tabs."""

    path: Path
    name: str
    format: FormatName
    is_tabbed: bool = False

    @property
    def n_bytes(self) -> int:
        """Size as stored."""
        return self.path.stat().st_size


def find_sources(
    paths: Sequence[str | Path], stated: FormatName | None, stack: ExitStack, stdin: BinaryIO | None = None
) -> list[Source]:
    """Every file that ``paths`` mean, in the order given, folders and globs sorted, none twice.

    Standard input is first written to a temporary file (removed when ``stack`` closes), so that it can be read twice,
    recognised and resumed like any other.

    Raises:
        DataError: a path that matches nothing.
        ConfigError: a format that can neither be told nor is stated.
    """
    found: dict[Path, Source] = {}
    for given in paths:
        if str(given) == STANDARD_INPUT:
            source = _spool(stated, stack, stdin)
            found[source.path] = source
            continue
        for path in _expand(str(given), stated):
            found.setdefault(path, _source(path, stated))
    if not found:
        raise DataError("no file was named; give files, folders, globs or - for standard input")
    return list(found.values())


def read_batches(source: Source, mapping: TableMapping, limits: LimitsConfig) -> Iterator[RawBatch]:
    """The rows of ``source`` in batches, always cut in the same places.

    Raises:
        DataError: the source as a whole cannot be read from some point on; batches before it were good.
    """
    if source.format == "parquet":
        yield from parquet_batches(source.path, mapping, limits)
        return
    n_bytes = max(source.n_bytes, 1)
    if source.format == "csv":
        mapping = mapping.model_copy(update={"csv": _as_shown(source, mapping.csv, limits)})
    with open_stream(source.path, limits) as stream:
        for batch in _stream_batches(stream, source, mapping, limits):
            yield replace(batch, share=min(1.0, stream.tell() / n_bytes))


def _stream_batches(
    stream: BinaryIO, source: Source, mapping: TableMapping, limits: LimitsConfig
) -> Iterator[RawBatch]:
    if source.format == "csv":
        yield from csv_batches(stream, source.name, mapping.csv, mapping, limits)
    elif source.format == "text":
        yield from text_batches(stream, source.name, mapping, limits)
    elif source.format == "jsonl":
        yield from jsonl_batches(stream, source.name, mapping, limits)
    else:
        yield from json_batches(stream, source.name, mapping, limits)


def _as_shown(source: Source, config: CsvConfig, limits: LimitsConfig) -> CsvConfig:
    """``config`` with the delimiter that the file's name or header shows, unless one was stated."""
    if "delimiter" in config.model_fields_set:
        return config
    if source.is_tabbed:
        return config.model_copy(update={"delimiter": "\t"})
    if config.columns is not None:
        return config
    with open_stream(source.path, limits) as stream:
        return csv_columns(stream, source.name, config)[1]


def format_of(path: Path) -> FormatName | None:
    """The format that a file's name promises."""
    name = path.with_suffix("") if path.suffix in COMPRESSIONS else path
    return FORMATS.get(name.suffix.lower())


def _expand(given: str, stated: FormatName | None) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file() and (format_of(file) or stated))
        if not inside:
            raise DataError(f"folder {given} holds no file named {', '.join(FORMATS)} (or .gz, .zst of these)")
        return inside
    if path.exists():
        return [path]
    matches = _glob(given)
    if not matches:
        raise DataError(f"no file matches {given!r}; give files, folders, globs or - for standard input", source=given)
    return matches


def _glob(pattern: str) -> list[Path]:
    path = Path(pattern)
    parts = path.parts[1:] if path.is_absolute() else path.parts
    if not parts or not any(mark in pattern for mark in "*?["):
        return []
    root = Path(path.anchor) if path.is_absolute() else Path()
    return sorted(match for match in root.glob(str(Path(*parts))) if match.is_file())


def _source(path: Path, stated: FormatName | None) -> Source:
    chosen = stated or format_of(path)
    if chosen is None:
        raise ConfigError(
            f"the format of {path.name} cannot be told from its name; state format = csv, jsonl, json or parquet in "
            f"the mapping, or name it {', '.join(FORMATS)} (or .gz, .zst of these)"
        )
    name = path.with_suffix("") if path.suffix in COMPRESSIONS else path
    return Source(path, str(path), chosen, is_tabbed=name.suffix.lower() == ".tsv")


def _spool(stated: FormatName | None, stack: ExitStack, stdin: BinaryIO | None) -> Source:
    if stated is None:
        raise ConfigError(
            "standard input has no name to tell its format from; state format = csv, jsonl, json, parquet or text"
        )
    if stdin is None:
        raise ConfigError("standard input was asked for, but none was handed in")
    file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="aisle-import-"))  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(stdin, file, 1024 * 1024)
    file.flush()
    return Source(Path(file.name), STANDARD_INPUT, stated)
