"""Parquet to batches: only the columns that the mapping reads, typed as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aisle.errors import DataError, unknown_name
from aisle.ingest.exploding import explode
from aisle.ingest.json_rows import records_frame
from aisle.ingest.limits import MIB, LimitsConfig
from aisle.ingest.mapping import TableMapping
from aisle.ingest.raw import RawBatch
from aisle.ingest.refused import ROW, no_refusals

_SUSPECT_EXPANSION = 1000.0
"""Uncompressed bytes for each compressed one of a row group; honest columns stay below a hundred."""
_BATCH_BYTES = 256 * MIB
"""Unpacked bytes of a batch, about."""


def parquet_batches(path: Path, mapping: TableMapping, limits: LimitsConfig) -> Iterator[RawBatch]:
    """Batches of a Parquet file; rows count from 1.

    Nested columns whose inside is asked for (``items[].id``) go through records; plain ones stay columnar.

    Raises:
        DataError: not Parquet, damaged, a column is missing, or a row group that unpacks absurdly.
    """
    try:
        with pq.ParquetFile(path) as file:
            n_rows = _rows_at_once(file, path.name, limits)
            columns, is_nested = _columns(file.schema_arrow, mapping, path.name)
            coded = _coded(file, columns)
        with pq.ParquetFile(path, read_dictionary=coded, pre_buffer=False, buffer_size=MIB) as file:
            end = 0
            for batch in _batches(file, columns, n_rows):
                frame = pl.from_arrow(_spelled_out(batch, path.name))
                assert isinstance(frame, pl.DataFrame)
                rows = pl.int_range(end + 1, end + 1 + frame.height, dtype=pl.Int64, eager=True)
                end += frame.height
                if is_nested:
                    frame = records_frame(frame.to_dicts(), rows.to_list(), mapping)
                else:
                    frame = _columnar(frame, rows, mapping)
                yield RawBatch(frame, no_refusals(), end, end / max(file.metadata.num_rows, 1))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} is not Parquet or is damaged: {error}", source=str(path)) from error


def _rows_at_once(file: pq.ParquetFile, name: str, limits: LimitsConfig) -> int:
    """Rows of a batch: fewer than ``batch_rows`` where rows are long. The same for the same file."""
    if file.metadata.num_columns > limits.max_columns:
        raise DataError(f"{name} has {file.metadata.num_columns} columns; at most {limits.max_columns}", source=name)
    longest = 1
    for index in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(index)
        chunks = [group.column(column) for column in range(group.num_columns)]
        packed = sum(chunk.total_compressed_size for chunk in chunks)
        unpacked = sum(chunk.total_uncompressed_size for chunk in chunks)
        if unpacked > limits.expansion_grace_bytes and unpacked > _SUSPECT_EXPANSION * max(packed, 1):
            raise DataError(
                f"{name}: row group {index} unpacks to {unpacked // max(packed, 1)} times its size; "
                f"allowed are {_SUSPECT_EXPANSION:g}",
                source=name,
            )
        longest = max(longest, unpacked // max(group.num_rows, 1))
    return max(1, min(limits.batch_rows, _BATCH_BYTES // longest))


def _coded(file: pq.ParquetFile, columns: list[str]) -> list[str]:
    """Text columns stored as codes into a dictionary: only there can a long text be repeated at no cost."""
    texts = {name for name in columns if _is_text(file.schema_arrow.field(name).type)}
    coded: set[str] = set()
    for index in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(index)
        for chunk in (group.column(column) for column in range(group.num_columns)):
            if chunk.path_in_schema in texts and any("DICTIONARY" in encoding for encoding in chunk.encodings):
                coded.add(chunk.path_in_schema)
    return sorted(coded)


def _is_text(dtype: pa.DataType) -> bool:
    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype)


def _batches(file: pq.ParquetFile, columns: list[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of at most ``n_rows``, a few row groups at a time: Arrow keeps dictionaries until an iteration ends."""
    run: list[int] = []
    n_run = 0
    for index in range(file.metadata.num_row_groups):
        run.append(index)
        n_run += file.metadata.row_group(index).num_rows
        if n_run >= n_rows or index == file.metadata.num_row_groups - 1:
            yield from file.iter_batches(batch_size=n_rows, row_groups=run, columns=columns, use_threads=False)
            run, n_run = [], 0


def _spelled_out(batch: pa.RecordBatch, name: str) -> pa.Table:
    """The batch with text spelled out, after checking how long that is: a file may repeat one long text a million times
    in a few bytes.
    """
    n_bytes = 0
    columns: list[pa.Array] = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            lengths = pc.call_function("binary_length", [column.dictionary]).take(column.indices)
            n_bytes += lengths.sum().as_py() or 0
            if n_bytes > 2 * _BATCH_BYTES:
                raise DataError(
                    f"{name}: {batch.num_rows} rows spell out to more than {2 * _BATCH_BYTES} bytes; shorten its texts",
                    source=name,
                )
            column = pc.cast(column, pa.large_string())
        columns.append(column)
    return pa.table(columns, names=batch.schema.names)


def _columns(schema: pa.Schema, mapping: TableMapping, name: str) -> tuple[list[str], bool]:
    """The top-level columns to read, and whether any must be taken apart as records."""
    top: dict[str, None] = {}
    is_nested = mapping.attributes_from is not None
    for path in [*mapping.wanted(), *([mapping.explode] if mapping.explode else [])]:
        if path in schema.names:
            top[path] = None
            is_nested = is_nested or pa.types.is_struct(schema.field(path).type)
            continue
        root = path.split(".")[0].split("[")[0]
        if root not in schema.names and mapping.are_columns_optional:
            continue
        if root not in schema.names:
            raise DataError(f"{name}: " + unknown_name("column", path, schema.names), source=name, row=0, field=path)
        top[root] = None
        is_nested = True
    return list(top), is_nested


def _columnar(frame: pl.DataFrame, rows: pl.Series, mapping: TableMapping) -> pl.DataFrame:
    frame = frame.with_columns(rows.alias(ROW))
    return frame if mapping.explode is None else explode(frame, mapping.explode, mapping.explode_separator)
