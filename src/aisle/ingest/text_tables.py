"""Tables of texts and labels, whole: CSV, TSV, JSONL, Parquet, or plain text with one text a line.

Enters: a file. Leaves: its rows and columns, values of text formats as they are written. These tables are small enough
for memory; catalogues and events come in through ``ingest.sources``. What a column may hold, ``text_columns`` knows.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

import orjson
import polars as pl

from aisle.errors import DataError, UnavailableError
from aisle.ingest.streams import encoding_of

FORMATS = ".csv, .tsv, .jsonl, .parquet or .txt"
_JSON = (".jsonl", ".ndjson")
_CSV = {".csv": ",", ".tsv": "\t"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONGEST_SHOWN = 60


def read_table(file: Path) -> pl.DataFrame:
    """All rows and columns; of ``.txt`` one column ``text``.

    Columns of CSV are text. Columns of JSONL are text, lists of texts, or ``pl.Object`` where they hold both or more.
    Text files are UTF-8, with or without a byte order mark, UTF-16 with one, or GB18030 where that shows.

    Raises:
        DataError: it is no table that can be read, with the reason and where.
        UnavailableError: it cannot be opened.
    """
    suffix = file.suffix.lower()
    if suffix not in (*_CSV, *_JSON, ".parquet", ".txt"):
        raise DataError(f"{file}: the name must end in {FORMATS}", source=str(file))
    if file.is_dir():
        raise DataError(f"{file} is a folder; name a file in it", source=str(file))
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"there is no file {file}", source=str(file)) from error
    except OSError as error:
        raise UnavailableError(f"{file} cannot be read: {error}") from error
    if suffix == ".parquet":
        return _parquet(content, str(file))
    text = _decoded(content, str(file))
    if suffix == ".txt":
        lines = text.replace("\r\n", "\n").split("\n")
        return pl.DataFrame({"text": lines if lines[-1] else lines[:-1]}, schema={"text": pl.String})
    if not text.strip():
        raise DataError(f"{file} is empty; {_first_line(suffix)}", source=str(file))
    return _json_lines(text, str(file)) if suffix in _JSON else _csv(text, _CSV[suffix], str(file))


def _first_line(suffix: str) -> str:
    if suffix in _JSON:
        return 'each line is one object such as {"text": "fits well", "label": "good"}'
    return "the first line names the columns, such as text,label"


def _parquet(content: bytes, source: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataError(f"{source} cannot be read as parquet: {error}", source=source) from error


def _decoded(content: bytes, source: str) -> str:
    if content.startswith(_UTF16):
        encoding = "utf-16"
    elif encoding_of(content) == "gb18030":
        encoding = "gb18030"
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source}, line {line}: not text in {encoding.upper().removesuffix('-SIG')} ({error.reason} at byte "
            f"{error.start}); save it as UTF-8",
            source=source,
        ) from error


def _csv(text: str, separator: str, source: str) -> pl.DataFrame:
    try:
        header = next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=separator))
    except csv.Error as error:
        raise DataError(f"{source}, line 1: {error}; {_first_line('.csv')}", source=source, row=0) from error
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(
            f"{source}: the first line names the column {twice[0]!r} {header.count(twice[0])} times; give each a name "
            "of its own",
            source=source,
            field=twice[0],
        )
    try:
        return pl.read_csv(io.BytesIO(text.encode()), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{source} cannot be read: {_fault(text, separator, len(header))}", source=source) from error


def _fault(text: str, separator: str, n_columns: int) -> str:
    """Why this is no CSV, with the line of the first fault that can be told."""
    what = f"texts with {'tabs' if separator == chr(9) else 'commas'}, quotes or line ends"
    rule = f'{what} stand between quotes, and a quote within is written twice: "6"" pan, red"'
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begun = 1
    try:
        for row in reader:
            if len(row) > n_columns:
                return f"line {begun} has {len(row)} fields, and the first line names {n_columns} columns; {rule}"
            begun = reader.line_num + 1
    except csv.Error as error:
        return f"the row that begins on line {begun} is broken ({error}); {rule}"
    return f"a quote opens or closes where it should not; {rule}"


def _json_lines(text: str, source: str) -> pl.DataFrame:
    objects: list[dict[str, object]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise DataError(
                f"{source}, line {number}: {error}; {_first_line('.jsonl')}, and null where nothing is known",
                source=source,
                row=number,
            ) from error
        if not isinstance(found, dict):
            raise DataError(
                f"{source}, line {number}: {line.strip()[:_LONGEST_SHOWN]!r} is no object; {_first_line('.jsonl')}",
                source=source,
                row=number,
            )
        objects.append(found)
    names = dict.fromkeys(name for one in objects for name in one)
    return pl.DataFrame([_column(name, [one.get(name) for one in objects]) for name in names])


def _column(name: str, values: Sequence[object]) -> pl.Series:
    given = [value for value in values if value is not None]
    if not any(isinstance(value, list | dict) for value in given):
        return pl.Series(name, [_written(value) for value in values], dtype=pl.String)
    if all(isinstance(value, list) and not any(isinstance(one, list | dict) for one in value) for value in given):
        lists = [[_written(one) for one in value] if isinstance(value, list) else None for value in values]
        return pl.Series(name, lists, dtype=pl.List(pl.String))
    return pl.Series(name, values, dtype=pl.Object)


def _written(value: object) -> str | None:
    """A text, number or truth value as text: 1.0 as 1, so that whole numbers are written one way."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value)
