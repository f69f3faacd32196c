"""What every reader yields: a batch of rows as they stand in the source."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class RawBatch:
    """Rows of a source in order.

    ``frame`` holds the source's columns as they are and ``$row`` (Int64, from 1); ``refused`` what could not even be
    read (``refused.REFUSED_SCHEMA``); ``end_row`` is the last row of the source that this batch accounts for;
    ``share`` how much of the source has been read (0 to 1), about, to tell the time left.
    """

    frame: pl.DataFrame
    refused: pl.DataFrame
    end_row: int
    share: float = 1.0
