"""One question of an evaluation each, kept as columns, and the data a system may learn from to answer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain import Snapshot, UserState
from aisle.errors import DataError
from aisle.evaluation.targets import RowLists, Targets


@dataclass(frozen=True)
class Cases:
    """What is asked. Case i: this user (or query), having done this, at this moment; ``targets`` are what is right.

    ``user_rows`` (n,) int64, -1 where there is no user; ``times_ms`` (n,) int64, the moment of asking; ``history`` item
    rows of each case, oldest first, with ``history_types`` (total,) uint8 as in ``EVENT_CODE`` and ``history_times_ms``
    (total,) int64; ``queries`` one text a case, or None where nothing is searched.
    """

    user_rows: NDArray[np.int64]
    user_ids: Sequence[str | None]
    times_ms: NDArray[np.int64]
    history: RowLists
    history_types: NDArray[np.uint8]
    history_times_ms: NDArray[np.int64]
    targets: Targets
    queries: Sequence[str] | None = None

    def __post_init__(self) -> None:
        n = len(self.user_rows)
        lengths = {len(self.user_ids), len(self.times_ms), len(self.history), len(self.targets)}
        if self.queries is not None:
            lengths.add(len(self.queries))
        if lengths != {n}:
            raise DataError(f"the columns of {n} cases have lengths {sorted(lengths)}")
        if not len(self.history.rows) == len(self.history_types) == len(self.history_times_ms):
            raise DataError("histories need as many rows as types and times")

    def __len__(self) -> int:
        return len(self.user_rows)

    def states(self) -> list[UserState]:
        """The user of each case as a request would show them: what they did before the moment of asking."""
        offsets = self.history.offsets
        return [
            UserState(
                user_id,
                self.history.rows[offsets[case] : offsets[case + 1]],
                self.history_types[offsets[case] : offsets[case + 1]],
                self.history_times_ms[offsets[case] : offsets[case + 1]],
            )
            for case, user_id in enumerate(self.user_ids)
        ]


@dataclass(frozen=True)
class Split:
    """What may be learned from, and what is asked. ``protocol`` says in one sentence how the two were parted.

    ``train`` keeps every item and user row of the snapshot it was made from, so that rows mean the same in both.
    ``train_judgments`` (query, item_row, grade) is what query-disjoint splits leave to learn from.
    """

    train: Snapshot
    cases: Cases
    protocol: str
    train_judgments: pl.DataFrame | None = None
