"""A first look into a source: its columns and a few rows, without a mapping."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from aisle.errors import DataError
from aisle.ingest.csv_rows import csv_batches, csv_columns, shown_encoding
from aisle.ingest.json_rows import as_series, json_records
from aisle.ingest.limits import MIB, LimitsConfig
from aisle.ingest.mapping import CsvConfig, TableMapping
from aisle.ingest.sources import Source
from aisle.ingest.streams import open_stream

_ROWS = 1000


def column_names(source: Source, limits: LimitsConfig) -> list[str]:
    """Names of the columns of ``source``, in order. Raises ``DataError`` when it is empty or unreadable."""
    return peek(source, limits).columns


def peek(source: Source, limits: LimitsConfig) -> pl.DataFrame:
    """The first rows of ``source`` (1,000 at most), columns as they are; of JSON the keys of the first records.

    Raises:
        DataError: empty or unreadable.
    """
    if source.format == "parquet":
        return _peek_parquet(source)
    if source.format == "csv":
        return _peek_csv(source, limits, shown_csv(source, limits))
    with open_stream(source.path, limits) as stream:
        records: list[dict[str, Any]] = []
        if source.format == "text":
            return pl.DataFrame(schema={"name": pl.String, "text": pl.String})
        for record in json_records(stream, source.name, is_lines=source.format == "jsonl", limits=limits):
            records.append(record)
            if len(records) == _ROWS:
                break
    if not records:
        raise DataError(f"{source.name} holds no JSON object", source=source.name)
    names = list(dict.fromkeys(name for record in records for name in record))
    return pl.DataFrame([as_series(name, [record.get(name) for record in records]) for name in names])


def shown_csv(source: Source, limits: LimitsConfig) -> CsvConfig:
    """The delimiter and encoding that the first lines of a CSV source show."""
    with open_stream(source.path, limits) as stream:
        config = CsvConfig(encoding=shown_encoding(stream))
    with open_stream(source.path, limits) as stream:
        return csv_columns(stream, source.name, config)[1]


def _peek_csv(source: Source, limits: LimitsConfig, config: CsvConfig) -> pl.DataFrame:
    small = limits.model_copy(update={"batch_rows": _ROWS, "max_record_bytes": min(MIB, limits.max_record_bytes)})
    with open_stream(source.path, limits) as stream:
        names, _ = csv_columns(stream, source.name, config)
    every = TableMapping.parse({"table": "users", "attributes": {name: {"from": name} for name in names}}, "peek")
    with open_stream(source.path, limits) as stream:
        for batch in csv_batches(stream, source.name, config, every, small):
            return batch.frame.select(names)
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String))


def _peek_parquet(source: Source) -> pl.DataFrame:
    try:
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                return frame
            return pl.DataFrame(schema=dict.fromkeys(file.schema_arrow.names, pl.String))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source.name} is not Parquet or is damaged: {error}", source=source.name) from error
