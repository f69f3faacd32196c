"""Refusals in columns: a file may have millions of bad rows, so they travel as a frame and are written as they come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from aisle.domain import Refusal

ROW = "$row"
"""Column holding the row of the source, counted from 1."""

SHOWN_CHARACTERS = 200

REFUSED_SCHEMA: dict[str, Any] = {"row": pl.Int64, "field": pl.String, "value": pl.String, "allowed": pl.String}


def no_refusals() -> pl.DataFrame:
    """A frame of refusals without rows."""
    return pl.DataFrame(schema=REFUSED_SCHEMA)


def refuse(rows: Iterable[tuple[int, str, str, str]]) -> pl.DataFrame:
    """Refusals from (row, field, value, allowed)."""
    return pl.DataFrame(
        [(row, field, shown(value), allowed) for row, field, value, allowed in rows],
        schema=REFUSED_SCHEMA,
        orient="row",
    )


def refuse_where(frame: pl.DataFrame, wrong: pl.Series, field: str, value: pl.Series, allowed: str) -> pl.DataFrame:
    """Refusals of the rows of ``frame`` marked in ``wrong`` (n,) bool; ``value`` (n,) is what was received."""
    text = value.filter(wrong)
    if text.dtype != pl.String:
        text = pl.Series([None if v is None else str(v) for v in text.to_list()], dtype=pl.String)
    return pl.DataFrame(
        {
            "row": frame[ROW].filter(wrong).cast(pl.Int64),
            "field": pl.repeat(field, len(text), dtype=pl.String, eager=True),
            "value": text.fill_null("").str.slice(0, SHOWN_CHARACTERS).map_elements(shown, return_dtype=pl.String),
            "allowed": pl.repeat(allowed, len(text), dtype=pl.String, eager=True),
        },
        schema=REFUSED_SCHEMA,
    )


def shown(value: str) -> str:
    """``value`` shortened to 200 characters, with everything unprintable escaped."""
    short = value[:SHOWN_CHARACTERS]
    return short if short.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)[:200]


def as_refusals(source: str, frame: pl.DataFrame) -> list[Refusal]:
    """The refusals of ``source`` as records."""
    return [Refusal(source, *row) for row in frame.iter_rows()]
