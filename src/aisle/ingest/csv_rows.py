"""CSV to batches: every value as text, rows that do not fit the header refused one by one.

Parsing is Arrow's, block by block, so memory stays at a few blocks whatever the file holds.
"""

from __future__ import annotations

import csv as standard_csv
import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from aisle.errors import DataError, unknown_name
from aisle.ingest.exploding import explode
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import CsvConfig, TableMapping
from aisle.ingest.raw import RawBatch
from aisle.ingest.refused import ROW, refuse
from aisle.ingest.streams import Recoded, encoding_of, refuse_foreign_text

_HEAD_BYTES = 256 * 1024
_LONGEST_COLUMN_NAME = 1000
_UTF8 = ("utf-8", "utf8", "utf-8-sig")
_DELIMITERS = (",", ";", "\t", "|")
_WRONG_SHARE = 0.2
"""More rows of a batch than this with bytes that are not the encoding: the encoding itself is wrong."""


class _Headed(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: BinaryIO | io.RawIOBase) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            size = len(self._head) if size < 0 else size
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._rest.read(size) or b""


class _Misfits:
    """Rows that do not have as many fields as the header; Arrow reports them while it reads ahead."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, str, str, str]] = []

    def __call__(self, row: csv.InvalidRow) -> str:
        self.waiting.append(
            (
                row.number,
                "",
                row.text[:200],
                f"{row.expected_columns} fields as in the header; this row has {row.actual_columns}",
            )
        )
        return "skip"

    def take(self, next_row: int, n_rows: int) -> tuple[NDArray[np.int64], list[tuple[int, str, str, str]], int]:
        """Row numbers of the next ``n_rows`` good rows, the misfits among and right behind them, and the last row."""
        rows = np.arange(next_row, next_row + n_rows, dtype=np.int64)
        taken: list[tuple[int, str, str, str]] = []
        end = next_row + n_rows - 1
        for misfit in self.waiting:
            if misfit[0] > end + 1:
                break
            rows[np.searchsorted(rows, misfit[0]) :] += 1
            end += 1
            taken.append(misfit)
        del self.waiting[: len(taken)]
        return rows, taken, end


def csv_batches(
    stream: BinaryIO, name: str, config: CsvConfig, mapping: TableMapping, limits: LimitsConfig
) -> Iterator[RawBatch]:
    """Batches of a CSV stream. Rows count from 1 after the header; empty lines do not count.

    Raises:
        DataError: no header, a doubled or missing column, a row longer than ``max_record_bytes``, a wrong encoding.
    """
    source: BinaryIO | io.RawIOBase = stream
    if config.encoding.lower().replace("_", "-") not in _UTF8:
        source = Recoded(stream, config.encoding, name)
    head = _read_head(source)
    refuse_foreign_text(head, name)
    if not head.strip():
        return
    _check_encoding(head, name, config.encoding)
    columns, header_bytes = (list(config.columns), 0) if config.columns else _read_header(head, name, config)
    _check_columns(columns, name, limits)
    wanted = _wanted(columns, mapping, name)
    misfits = _Misfits()
    next_row = 1
    try:
        reader = _open(_Headed(head[header_bytes:], source), columns, wanted, config, limits, misfits)
        for table in _slices(reader, limits.batch_rows):
            rows, bad, end = misfits.take(next_row, table.num_rows)
            frame, unreadable = _as_text(table, rows, name, config.encoding)
            if mapping.explode is not None:
                frame = explode(frame, mapping.explode, mapping.explode_separator)
            yield RawBatch(frame, pl.concat([refuse(bad), unreadable]), end)
            next_row = end + 1
    except pa.ArrowInvalid as error:
        if "Empty CSV file" not in str(error):
            raise DataError(_explain(error, name, next_row, limits), source=name, row=next_row) from error
    if misfits.waiting:
        rest = refuse(misfits.waiting)
        empty = pl.DataFrame(schema={**dict.fromkeys(wanted, pl.String), ROW: pl.Int64})
        yield RawBatch(empty, rest, rest["row"][-1])


def shown_encoding(stream: BinaryIO) -> str:
    """``utf-8``, or ``gb18030`` where the first lines are not UTF-8 but Chinese text in that encoding."""
    return encoding_of(_read_head(stream).rpartition(b"\n")[0])


def csv_columns(stream: BinaryIO, name: str, config: CsvConfig) -> tuple[list[str], CsvConfig]:
    """Column names of a CSV stream, and ``config`` with the delimiter that its header shows.

    Raises:
        DataError: empty, or not text in the stated encoding.
    """
    is_utf8 = config.encoding.lower().replace("_", "-") in _UTF8
    head = _read_head(stream if is_utf8 else Recoded(stream, config.encoding, name))
    refuse_foreign_text(head, name)
    if not head.strip():
        raise DataError(f"{name} is empty", source=name)
    line = head.split(b"\n", 1)[0]
    shown = max(_DELIMITERS, key=lambda mark: line.count(mark.encode()))
    config = config.model_copy(update={"delimiter": shown})
    return _read_header(head, name, config)[0], config


def _read_head(stream: BinaryIO | io.RawIOBase) -> bytes:
    parts: list[bytes] = []
    n_bytes = 0
    while n_bytes < _HEAD_BYTES and (data := stream.read(_HEAD_BYTES - n_bytes)):
        parts.append(data)
        n_bytes += len(data)
    return b"".join(parts).removeprefix(b"\xef\xbb\xbf")


def _read_header(head: bytes, name: str, config: CsvConfig) -> tuple[list[str], int]:
    """Column names and the bytes they take."""
    lines = head.splitlines(keepends=True)
    n_blank = next(i for i, line in enumerate(lines) if line.strip())
    try:
        reader = standard_csv.reader(
            (line.decode() for line in lines[n_blank:]),
            delimiter=config.delimiter,
            quotechar=config.quote or None,
            quoting=standard_csv.QUOTE_MINIMAL if config.quote else standard_csv.QUOTE_NONE,
        )
        columns = next(reader)
    except (UnicodeDecodeError, standard_csv.Error) as error:
        raise DataError(_wrong_encoding(name, config.encoding, f"the header: {error}"), source=name, row=0) from error
    return [column.strip() for column in columns], sum(map(len, lines[: n_blank + reader.line_num]))


def _check_encoding(head: bytes, name: str, encoding: str) -> None:
    """Told before Arrow reads: it cannot hand on a row that neither fits the header nor is UTF-8."""
    lines = head.split(b"\n")[:-1]  # the last one may be cut
    n_wrong = sum(not _is_utf8(line) for line in lines)
    if n_wrong > _WRONG_SHARE * len(lines):
        raise DataError(_wrong_encoding(name, encoding, f"{n_wrong} of its first {len(lines)} lines"), source=name)


def _check_columns(columns: list[str], name: str, limits: LimitsConfig) -> None:
    if len(columns) > limits.max_columns:
        raise DataError(f"{name} has {len(columns)} columns; at most {limits.max_columns} are allowed", source=name)
    seen: set[str] = set()
    for column in columns:
        if column in seen:
            raise DataError(f"{name} has two columns named {column!r}; rename one", source=name, field=column)
        if len(column) > _LONGEST_COLUMN_NAME:
            raise DataError(f"{name}: a column name has {len(column)} characters; is the delimiter right?", source=name)
        seen.add(column)


def _wanted(columns: list[str], mapping: TableMapping, name: str) -> list[str]:
    """The columns to read; Arrow needs at least one to count rows."""
    wanted = [*mapping.wanted(), *([mapping.explode] if mapping.explode else [])]
    for column in wanted:
        if column not in columns and not mapping.are_columns_optional:
            raise DataError(f"{name}: " + unknown_name("column", column, columns), source=name, row=0, field=column)
    present = [column for column in dict.fromkeys(wanted) if column in columns]
    if wanted and not present:
        raise DataError(
            f"{name}: none of the columns {', '.join(wanted)} is there; it has {', '.join(columns)}", source=name
        )
    return present or columns[:1]


def _open(
    source: io.RawIOBase,
    columns: list[str],
    wanted: list[str],
    config: CsvConfig,
    limits: LimitsConfig,
    misfits: _Misfits,
) -> csv.CSVStreamingReader:
    return csv.open_csv(
        pa.PythonFile(source, mode="r"),
        read_options=csv.ReadOptions(use_threads=False, block_size=limits.max_record_bytes, column_names=columns),
        parse_options=csv.ParseOptions(
            delimiter=config.delimiter,
            quote_char=config.quote or False,
            newlines_in_values=True,
            invalid_row_handler=misfits,
        ),
        # Bytes, not text: Arrow would give up the whole file at the first byte that is not UTF-8.
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.binary()), include_columns=wanted, strings_can_be_null=False
        ),
    )


def _slices(reader: csv.CSVStreamingReader, n_rows: int) -> Iterator[pa.Table]:
    """The reader's blocks cut and joined into tables of ``n_rows``."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for block in reader:
        while n_waiting + block.num_rows >= n_rows:
            wanted = n_rows - n_waiting
            yield pa.Table.from_batches([*waiting, block.slice(0, wanted)])
            waiting, n_waiting, block = [], 0, block.slice(wanted)
        if block.num_rows:
            waiting.append(block)
            n_waiting += block.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting)


def _as_text(table: pa.Table, rows: NDArray[np.int64], name: str, encoding: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table as text with its row numbers, without the rows whose bytes are not UTF-8, and their refusals."""
    columns: dict[str, pa.ChunkedArray] = {}
    wrong = np.zeros(table.num_rows, dtype=np.bool_)
    refused: list[tuple[int, str, str, str]] = []
    for column in table.column_names:
        try:
            columns[column] = pc.cast(table[column], pa.string())
        except pa.ArrowInvalid:
            repaired: list[str] = []
            for position, value in enumerate(table[column].to_pylist()):
                text = value.decode(errors="replace")
                if "\ufffd" in text and not _is_utf8(value):
                    wrong[position] = True
                    refused.append(
                        (int(rows[position]), column, text, "UTF-8 text, or the encoding stated in the mapping")
                    )
                repaired.append(text)
            columns[column] = pa.chunked_array([pa.array(repaired, pa.string())])
    if wrong.sum() > _WRONG_SHARE * len(wrong):
        share = f"{wrong.sum()} of {len(wrong)} rows from row {rows[0]}"
        raise DataError(_wrong_encoding(name, encoding, share), source=name, row=int(rows[0]))
    frame = pl.from_arrow(pa.table(columns)) if columns else pl.DataFrame()
    assert isinstance(frame, pl.DataFrame)
    frame = frame.with_columns(pl.Series(ROW, rows))
    return frame.filter(pl.Series(~wrong)) if refused else frame, refuse(refused)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _wrong_encoding(name: str, encoding: str, where: str) -> str:
    return (
        f"{name} is not {encoding} ({where}); state its encoding in the mapping, e.g. "
        '[csv] encoding = "gb18030" for Chinese files or "cp1252" for Western European ones'
    )


def _explain(error: pa.ArrowInvalid, name: str, next_row: int, limits: LimitsConfig) -> str:
    if "straddling" in str(error):
        return (
            f"{name}: a row after row {next_row - 1} is longer than {limits.max_record_bytes} bytes; "
            "is a quote left open, or is [csv] quote wrong?"
        )
    if "Expected" in str(error):  # a misfit that is not UTF-8 either: Arrow quotes its bytes
        return (
            f"{name}: a row after row {next_row - 1} has neither as many fields as the header nor UTF-8 text; mend it"
        )
    return f"{name} cannot be read as CSV after row {next_row - 1}: {error}"
