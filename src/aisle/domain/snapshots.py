"""Everything a model may be fitted on, as of one sequence number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain.tables import EVENT_TYPE, ItemTable
from aisle.errors import DataError

INTERACTION_SCHEMA: dict[str, Any] = {
    "user_row": pl.Int32,
    "item_row": pl.Int32,
    "type": EVENT_TYPE,
    "time_ms": pl.Int64,
    "quantity": pl.Int64,
    "price_minor": pl.Int64,
    "rating": pl.Float64,
    "session_id": pl.String,
    "basket_id": pl.String,
    "platform": pl.String,
}


@dataclass(frozen=True)
class Snapshot:
    """Items and what users did with them, frozen at ``seq``.

    ``items`` in row order: row i is ``item_row`` i. ``interactions`` has the columns of ``INTERACTION_SCHEMA``, sorted
    by time and then by arrival, known items only, suspected robots left out. ``user_ids[user_row]`` is the user.
    """

    items: ItemTable
    user_ids: Sequence[str]
    interactions: pl.DataFrame
    seq: int

    def __post_init__(self) -> None:
        if dict(self.interactions.schema) != INTERACTION_SCHEMA:
            raise DataError(f"interactions have columns {dict(self.interactions.schema)}; wanted {INTERACTION_SCHEMA}")

    @classmethod
    def empty(cls) -> Snapshot:
        """A shop without items, users or events."""
        return cls(ItemTable.empty(), (), pl.DataFrame(schema=INTERACTION_SCHEMA), 0)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.user_ids)

    def where(self, wanted: pl.Expr | NDArray[np.bool_]) -> Snapshot:
        """The same snapshot with only the wanted interactions."""
        predicate = wanted if isinstance(wanted, pl.Expr) else pl.Series(wanted)
        return replace(self, interactions=self.interactions.filter(predicate))
