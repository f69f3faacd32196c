"""Parquet to batches: only the columns that the mapping reads, typed as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from aisle.errors import DataError, unknown_name
from aisle.ingest.exploding import explode
from aisle.ingest.json_rows import records_frame
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import TableMapping
from aisle.ingest.raw import RawBatch
from aisle.ingest.refused import ROW, no_refusals

_SUSPECT_EXPANSION = 1000.0
"""Uncompressed bytes for each compressed one of a row group; honest columns stay below a hundred."""


def parquet_batches(path: Path, mapping: TableMapping, limits: LimitsConfig) -> Iterator[RawBatch]:
    """Batches of a Parquet file; rows count from 1.

    Nested columns whose inside is asked for (``items[].id``) go through records; plain ones stay columnar.

    Raises:
        DataError: not Parquet, damaged, a column is missing, or a row group that unpacks absurdly.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_groups(file, path.name, limits)
            columns, is_nested = _columns(file.schema_arrow, mapping, path.name)
            end = 0
            for batch in file.iter_batches(batch_size=limits.batch_rows, columns=columns, use_threads=False):
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                rows = pl.int_range(end + 1, end + 1 + frame.height, dtype=pl.Int64, eager=True)
                end += frame.height
                if is_nested:
                    frame = records_frame(frame.to_dicts(), rows.to_list(), mapping)
                else:
                    frame = _columnar(frame, rows, mapping)
                yield RawBatch(frame, no_refusals(), end)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} is not Parquet or is damaged: {error}", source=str(path)) from error


def _check_groups(file: pq.ParquetFile, name: str, limits: LimitsConfig) -> None:
    if file.metadata.num_columns > limits.max_columns:
        raise DataError(f"{name} has {file.metadata.num_columns} columns; at most {limits.max_columns}", source=name)
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
