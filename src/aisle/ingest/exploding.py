"""One row holding a list becomes one row for each element, in order."""

from __future__ import annotations

import polars as pl


def explode(frame: pl.DataFrame, column: str, separator: str | None = None) -> pl.DataFrame:
    """``frame`` with a row for each element of the list in ``column``; an empty list keeps its row, with no element.

    Adds ``$position`` (from 0) and ``$length``. Text is cut at ``separator`` first.
    """
    if frame.schema[column] == pl.String:
        parts = pl.col(column).str.split(separator or ",")
        frame = frame.with_columns(parts.list.eval(pl.element().str.strip_chars()))
    lengths = pl.col(column).list.len().fill_null(0).cast(pl.Int64).clip(lower_bound=1)
    frame = frame.with_columns(lengths.alias("$length"))
    exploded = frame.explode(column)
    position = pl.int_ranges(0, frame["$length"], eager=True) if frame.height else pl.Series(dtype=pl.List(pl.Int64))
    return exploded.with_columns(position.explode().cast(pl.Int64).alias("$position"))
