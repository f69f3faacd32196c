"""The leave-one-out protocol on real sequences is the published one: last item test, last but one validation."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from aisle.domain import INTERACTION_SCHEMA, Item, ItemTable, ItemText, Snapshot
from aisle.evaluation import leave_one_out

pytestmark = pytest.mark.needs_data


@pytest.fixture(scope="module")
def sequences(data_folder) -> pl.DataFrame:
    return pl.read_parquet(data_folder / "amazon2014-s3rec" / "Beauty.sequences.parquet")


@pytest.fixture(scope="module")
def snapshot(sequences: pl.DataFrame) -> Snapshot:
    """Item codes become rows; an interaction's time is its place in the sequence."""
    events = sequences.with_row_index("user_row").select("user_row", "items").explode("items")
    events = events.with_columns(time_ms=pl.int_range(pl.len()).over("user_row")).sort("time_ms", maintain_order=True)
    n_items = int(events["items"].cast(pl.Int64).max()) + 1  # type: ignore[arg-type]
    absent = {name: pl.lit(None, dtype) for name, dtype in INTERACTION_SCHEMA.items() if name not in events.columns}
    frame = events.with_columns(**absent).with_columns(
        item_row=pl.col("items").cast(pl.Int32), type=pl.lit("purchase"), quantity=pl.lit(1)
    )
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in INTERACTION_SCHEMA.items())
    items = ItemTable.from_rows(Item(str(row), (ItemText("en", str(row)),)) for row in range(n_items))
    return Snapshot(items, [str(row) for row in range(sequences.height)], frame, 1)


@pytest.mark.parametrize(("validation", "place"), [(False, -1), (True, -2)])
def test_leave_one_out_asks_what_the_published_protocol_asks(sequences, snapshot, validation, place) -> None:
    split = leave_one_out(snapshot, validation=validation)
    wanted = sequences.select(
        pl.col("items").list.get(place).cast(pl.Int64).alias("target"),
        pl.col("items").list.head(pl.col("items").list.len() + place).cast(pl.List(pl.Int64)).alias("history"),
    )
    assert len(split.cases) == sequences.height
    assert np.array_equal(split.cases.targets.items.rows, wanted["target"].to_numpy())
    assert np.array_equal(split.cases.history.rows, wanted["history"].explode().to_numpy())
    assert np.array_equal(split.cases.history.lengths, wanted["history"].list.len().to_numpy())
    assert split.train.interactions.height == len(split.cases.history.rows)
