"""What users did, as weighted rows in order and as sparse matrices.

Enters: a snapshot and how much each event type says. Leaves: ``Steps`` (each user's history cut into steps, the events
of one basket or one moment being one step without order) and scipy matrices made of them. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from aisle.domain import EVENT_TYPES, Catalogue, EventTable, EventType, Snapshot, UserState

Float32 = NDArray[np.float32]
Integers = NDArray[np.int64]

EVENT_WEIGHTS: Mapping[EventType, float] = {
    EventType.CLICK: 0.5,
    EventType.VIEW: 0.5,
    EventType.SELECT_PROMOTION: 0.3,
    EventType.SHARE: 0.6,
    EventType.WISH: 0.7,
    EventType.ADD_TO_CART: 0.8,
    EventType.BEGIN_CHECKOUT: 0.8,
    EventType.PURCHASE: 1.0,
    EventType.RATE: 1.0,
    EventType.REVIEW: 1.0,
    EventType.REMOVE_FROM_CART: -0.4,
    EventType.REFUND: -1.0,
}
"""How much one event of a type says about interest; types left out say nothing, negative ones take interest back."""


def weight_of_code(event_weights: Mapping[EventType, float]) -> Float32:
    """Weights by event code, 0 for types not named. (n_types,) float32."""
    return np.array([event_weights.get(event_type, 0.0) for event_type in EVENT_TYPES], dtype=np.float32)


def interaction_arrays(snapshot: Snapshot) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Item rows, event codes and times of a snapshot's interactions, each (m,) int64."""
    frame = snapshot.interactions
    return (
        frame["item_row"].cast(pl.Int64).to_numpy(),
        frame["type"].to_physical().cast(pl.Int64).to_numpy(),
        frame["time_ms"].to_numpy(),
    )


def event_arrays(
    events: EventTable, catalogue: Catalogue
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Item rows, event codes and times of events of known items, suspected robots left out; each (m,) int64."""
    frame = trusted(events)
    rows = catalogue.rows(frame["item_id"].to_list())
    is_known = rows >= 0
    return (
        rows[is_known],
        frame["type"].to_physical().cast(pl.Int64).to_numpy()[is_known],
        frame["time_ms"].to_numpy()[is_known],
    )


def trusted(events: EventTable) -> pl.DataFrame:
    """The events that do not look like robots'; usually that is all of them, and then nothing is copied."""
    frame = events.frame
    return frame.filter(~pl.col("is_suspect")) if frame["is_suspect"].any() else frame


@dataclass(frozen=True)
class Steps:
    """Users' histories in order, one row for each item of a step, sorted by user, then step.

    ``user`` (m,) int64, ``item`` (m,) int64, ``step`` (m,) int64 (0-based within the user, oldest first), ``weight``
    (m,) float32 (the item's net interest for this user, above 0), ``time_ms`` (m,) int64.
    """

    user: Integers
    item: Integers
    step: Integers
    weight: Float32
    time_ms: Integers
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.item)


def history_steps(snapshot: Snapshot, event_weights: Mapping[EventType, float], longest: int) -> Steps:
    """Cut each user's history into steps.

    Events that share a basket or a moment form one step. A pair of user and item weighs its strongest event plus its
    strongest withdrawal (refund, removal from the cart); pairs that do not come out above 0 are left out, so a refunded
    purchase says nothing. Only the last ``longest`` items of a user are kept.
    """
    weights = weight_of_code(event_weights)
    frame = snapshot.interactions
    signed = weights[frame["type"].to_physical().to_numpy()] if len(frame) else np.empty(0, np.float32)
    rows = (
        frame.lazy()
        .select("user_row", "item_row", "time_ms", "basket_id")
        .with_columns(weight=pl.Series(signed, dtype=pl.Float32), arrival=pl.int_range(pl.len()))
        .filter(pl.col("weight") != 0)
        .with_columns(
            net=(
                pl.col("weight").clip(lower_bound=0).max().over("user_row", "item_row")
                + pl.col("weight").clip(upper_bound=0).min().over("user_row", "item_row")
            ),
            moment=pl.when(pl.col("basket_id").is_null())
            .then(pl.col("time_ms"))
            .otherwise(pl.col("time_ms").min().over("user_row", "basket_id")),
        )
        .filter((pl.col("weight") > 0) & (pl.col("net") > 1e-6))
        .group_by("user_row", "moment", "item_row")
        .agg(pl.col("net").first(), pl.col("arrival").min())
        .sort("user_row", "moment", "arrival")
        .filter(pl.int_range(pl.len()).reverse().over("user_row") < longest)
        .with_columns(step=pl.col("moment").rank("dense").over("user_row") - 1)
        .collect()
    )
    return Steps(
        user=rows["user_row"].cast(pl.Int64).to_numpy(),
        item=rows["item_row"].cast(pl.Int64).to_numpy(),
        step=rows["step"].cast(pl.Int64).to_numpy(),
        weight=rows["net"].to_numpy(),
        time_ms=rows["moment"].to_numpy(),
        n_users=snapshot.n_users,
        n_items=snapshot.n_items,
    )


def user_item_matrix(steps: Steps) -> sp.csr_matrix:
    """Net interest of each user in each item. (n_users, n_items) float32."""
    return _matrix(steps.user, steps.item, steps.weight, (steps.n_users, steps.n_items), is_summed=False)


def numbered_steps(steps: Steps) -> tuple[Integers, Integers]:
    """All users' steps numbered through: each row's step (m,), and each step's number of items (n_steps,)."""
    widest = int(steps.step.max(initial=0)) + 1
    _, number, size = np.unique(steps.user * widest + steps.step, return_inverse=True, return_counts=True)
    return number, size


def basket_item_matrix(steps: Steps) -> sp.csr_matrix:
    """What each step of more than one item held, by the weight of each. (n_baskets, n_items) float32."""
    basket, size = numbered_steps(steps)
    is_shared = size[basket] > 1
    _, row = np.unique(basket[is_shared], return_inverse=True)
    shape = (int(row.max()) + 1 if len(row) else 0, steps.n_items)
    return _matrix(row, steps.item[is_shared], steps.weight[is_shared], shape, is_summed=False)


def past_and_future(steps: Steps, decay: float, window: int) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """What came before and what came after each point between two steps of a history.

    Row r of the first matrix holds the items of the ``window`` steps before the point, ``weight * decay ** age`` (age 0
    for the step just before), row r of the second those after it, ``weight * decay ** distance`` (distance 0 for the
    step just after); after Choi et al. 2021, "Session-aware Linear Item-Item Models". (n_points, n_items) float32 both.
    """
    n_steps = np.zeros(steps.n_users, dtype=np.int64)
    np.maximum.at(n_steps, steps.user, steps.step + 1)
    n_points = np.maximum(n_steps - 1, 0)
    first = np.concatenate([[0], np.cumsum(n_points)])
    before: list[tuple[Integers, Integers, Float32]] = []
    after: list[tuple[Integers, Integers, Float32]] = []
    for lag in range(min(window, int(n_points.max(initial=0)))):
        faded = steps.weight * np.float32(decay**lag)
        point = steps.step + lag
        is_inside = point < n_points[steps.user]
        before.append(((first[steps.user] + point)[is_inside], steps.item[is_inside], faded[is_inside]))
        point = steps.step - 1 - lag
        is_inside = point >= 0
        after.append(((first[steps.user] + point)[is_inside], steps.item[is_inside], faded[is_inside]))
    shape = (int(first[-1]), steps.n_items)
    return _joined(before, shape), _joined(after, shape)


VISIT_GAP_MS = 30 * 60_000
"""A pause this long ends a visit, as in web analytics."""


def visits_ago(ages: Integers) -> Integers:
    """Ascending ages in ms to visits since: 0 for those of the latest visit. (m,) int64."""
    return np.concatenate([[0], np.cumsum(np.diff(ages) > VISIT_GAP_MS)]).astype(np.int64)


@dataclass(frozen=True)
class Recency:
    """How a user's history counts when a request is answered.

    An event of ``age`` visits weighs ``decay ** age``: counted in events, a click stream would forget all but the last
    visit. With a half-life also ``0.5 ** (days / half_life_days)``.
    """

    weights: Float32
    decay: float
    half_life_days: float | None
    longest: int

    def of(self, state: UserState, now_ms: int) -> tuple[Integers, Float32]:
        """Items of a history, each once, and what they weigh: rows (h,) int64 and weights (h,) float32 above 0."""
        signed = self.weights[state.types]
        says = signed != 0
        rows, signed, times = state.item_rows[says], signed[says], state.times_ms[says]
        if not len(rows):
            return rows, signed
        newest_first = np.arange(len(rows) - 1, -1, -1)
        unique, position = np.unique(rows[newest_first], return_inverse=True)
        strongest, withdrawn = np.zeros(len(unique), np.float32), np.zeros(len(unique), np.float32)
        np.maximum.at(strongest, position, signed[newest_first])
        np.minimum.at(withdrawn, position, signed[newest_first])
        last_ms = np.full(len(unique), np.iinfo(np.int64).min)
        positive = signed[newest_first] > 0
        np.maximum.at(last_ms, position[positive], times[newest_first][positive])
        net = strongest + withdrawn
        kept = net > 1e-6
        unique, net, last_ms = unique[kept], net[kept], last_ms[kept]
        moments, moment = np.unique(-last_ms, return_inverse=True)
        step = visits_ago(moments)[moment]
        faded = net * np.float32(self.decay) ** step.astype(np.float32)
        if self.half_life_days is not None:
            days = np.maximum(now_ms + moments, 0)[moment] / 86_400_000
            faded *= (0.5 ** (days / self.half_life_days)).astype(np.float32)
        if len(unique) > self.longest:
            newest = np.argsort(moment, kind="stable")[: self.longest]
            unique, faded = unique[newest], faded[newest]
        return unique, faded.astype(np.float32)


def _joined(parts: list[tuple[Integers, Integers, Float32]], shape: tuple[int, int]) -> sp.csr_matrix:
    if not parts:
        return sp.csr_matrix(shape, dtype=np.float32)
    row, item, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _matrix(row, item, weight, shape, is_summed=True)


def _matrix(row: Any, item: Any, weight: Any, shape: tuple[int, int], *, is_summed: bool) -> sp.csr_matrix:
    if not is_summed and len(row):
        _, first = np.unique(row * shape[1] + item, return_index=True)
        row, item, weight = row[first], item[first], weight[first]
    return sp.csr_matrix((weight.astype(np.float32), (row, item)), shape=shape, dtype=np.float32)
