"""Texts and labels from files, whole: CSV, TSV, JSONL, Parquet, or plain text with one text a line.

Enters: a file and the names of columns. Leaves: lists. These tables are small enough for memory; catalogues and events
come in through ``ingest.sources``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from aisle.errors import DataError, UnavailableError, unknown_name

FORMATS = ".csv, .tsv, .jsonl, .parquet or .txt"
_SEPARATOR = ". "


def read_table(file: Path) -> pl.DataFrame:
    """All rows and columns; of ``.txt`` one column ``text``.

    Raises:
        DataError: it is no table that can be read, with the reason.
        UnavailableError: it cannot be opened.
    """
    suffix = file.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            return pl.read_csv(file, separator="\t" if suffix == ".tsv" else ",", infer_schema_length=None)
        if suffix in (".jsonl", ".ndjson"):
            return pl.read_ndjson(file, infer_schema_length=None)
        if suffix == ".parquet":
            return pl.read_parquet(file)
        if suffix == ".txt":
            return pl.DataFrame({"text": file.read_text(encoding="utf-8").splitlines()})
    except FileNotFoundError as error:
        raise DataError(f"there is no file {file}", source=str(file)) from error
    except OSError as error:
        raise UnavailableError(f"{file} cannot be read: {error}") from error
    except (pl.exceptions.PolarsError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{file} cannot be read as {suffix[1:]}: {error}", source=str(file)) from error
    raise DataError(f"{file}: the name must end in {FORMATS}", source=str(file))


def texts_in(frame: pl.DataFrame, columns: Sequence[str], source: str) -> list[str]:
    """The columns of each row as one text; empty where all are.

    Raises:
        DataError: there is no such column.
    """
    for column in columns:
        if column not in frame.columns:
            raise DataError(f"{source}: {unknown_name('column', column, frame.columns)}", source=source, field=column)
    parts = [pl.col(column).cast(pl.String).str.strip_chars().replace("", None) for column in columns]
    joined = pl.concat_str(parts, separator=_SEPARATOR, ignore_nulls=True).fill_null("").alias("text")
    return frame.select(joined)["text"].to_list()


def labels_in(frame: pl.DataFrame, column: str, separator: str | None, source: str) -> list[str | list[str] | None]:
    """The labels of each row: None where it is empty, a list where a separator or the column says there may be several.

    Raises:
        DataError: there is no such column.
    """
    if column not in frame.columns:
        raise DataError(f"{source}: {unknown_name('column', column, frame.columns)}", source=source, field=column)
    values = frame[column]
    if isinstance(values.dtype, pl.List):
        return [None if one is None else [str(label) for label in one] for one in values.to_list()]
    named = values.cast(pl.String).str.strip_chars().to_list()
    if separator is None:
        return [one or None for one in named]
    return [None if one is None else [part.strip() for part in one.split(separator) if part.strip()] for one in named]


def all_labels(columns: Mapping[str, Sequence[Sequence[str | list[str] | None]]]) -> dict[str, tuple[str, ...]]:
    """The labels that occur in each task's columns, sorted."""
    found: dict[str, set[str]] = {}
    for task, of_tables in columns.items():
        names = found.setdefault(task, set())
        for labels in of_tables:
            for label in labels:
                names.update([label] if isinstance(label, str) else label or ())
    return {task: tuple(sorted(names)) for task, names in found.items()}
