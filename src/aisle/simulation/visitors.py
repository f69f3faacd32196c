"""Users who answer to what they are shown: the seam for experiments on lists that history never showed.

Enters: shown lists. Leaves: events. Purchases change what the visitors need from then on, as in the history.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from aisle.domain import EventTable, EventType
from aisle.simulation.queries import Queries
from aisle.simulation.responses import Responses, ShownLists, record_purchases, respond
from aisle.simulation.truth import Truth
from aisle.simulation.users import PLATFORMS
from aisle.simulation.wording import CURRENCY, item_ids

DELAY_MS = {EventType.IMPRESSION: 0, EventType.CLICK: 2_000, EventType.ADD_TO_CART: 30_000, EventType.PURCHASE: 90_000}
"""When each kind of answer comes after the list is shown."""


class Visitors:
    """Everybody in the shop, ready to be shown lists. ``truth.needs`` is changed by what they buy."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self._user_ids = truth.population.ids()
        self._item_ids = item_ids(truth.assortment)

    def respond(
        self,
        user_rows: ArrayLike,
        item_rows: ArrayLike,
        now_ms: ArrayLike,
        rng: np.random.Generator,
        *,
        queries: Queries | None = None,
        slate_ids: Sequence[str] | None = None,
        placement: str = "recommended-for-you",
    ) -> EventTable:
        """What follows from showing lists, judged by the needs before them, in order of time within a list.

        Args:
            user_rows: one user row, or (m,) of them, each seeing one list.
            item_rows: (n,) item rows, or (m, n), best slot first; -1 is an empty slot.
            now_ms: when the lists are shown, UTC milliseconds; one time or (m,).
            rng: decides what happens.
            queries: what each list answers, m rows; None when nothing was searched for.
            slate_ids: ids of the lists, to be sent back with the events.
            placement: where the lists are shown.
        """
        users = np.atleast_1d(np.asarray(user_rows, dtype=np.int64))
        items = np.atleast_2d(np.asarray(item_rows, dtype=np.int64))
        n_lists = len(users)
        query_row = np.full(n_lists, -1) if queries is None else np.arange(n_lists)
        relevance = np.full(items.shape, np.nan, dtype=np.float32)
        if queries is not None:
            relevance = self.truth.relevance(queries, query_row[:, None], np.maximum(items, 0))
        lists = ShownLists(
            user_rows=users,
            item_rows=items,
            time_ms=np.broadcast_to(np.asarray(now_ms, dtype=np.int64), n_lists).copy(),
            relevance=relevance,
            query_row=query_row,
            placement=np.zeros(n_lists, dtype=np.int8),
            session=np.arange(n_lists),
        )
        responses = respond(self.truth, lists, rng)
        record_purchases(self.truth, lists, responses)
        return self._events(lists, responses, queries, slate_ids, placement)

    def _events(
        self,
        lists: ShownLists,
        responses: Responses,
        queries: Queries | None,
        slate_ids: Sequence[str] | None,
        placement: str,
    ) -> EventTable:
        happened = {
            EventType.IMPRESSION: np.ones(len(responses.is_click), dtype=np.bool_),
            EventType.CLICK: responses.is_click,
            EventType.ADD_TO_CART: responses.is_basket,
            EventType.PURCHASE: responses.is_purchase,
        }
        rows = np.concatenate([np.flatnonzero(mask) for mask in happened.values()])
        types = np.repeat([event_type.value for event_type in happened], [mask.sum() for mask in happened.values()])
        delay = np.repeat([DELAY_MS[event_type] for event_type in happened], [m.sum() for m in happened.values()])
        at, items = responses.list_row[rows], responses.item_rows[rows]
        is_sale = pl.col("type") == EventType.PURCHASE.value
        platform = self.truth.population.platform[responses.user_rows[rows]]
        basket = pl.format("b-{}-{}", "user_id", "time_ms")
        frame = pl.DataFrame(
            {
                "user_id": self._user_ids.gather(responses.user_rows[rows]),
                "item_id": self._item_ids.gather(items),
                "type": types,
                "time_ms": lists.time_ms[at] + delay,
                "price_minor": self.truth.assortment.price_minor[items],
                "query": None if queries is None else queries.texts().gather(at),
                "slate_id": None if slate_ids is None else pl.Series(slate_ids).gather(at),
                "slot": responses.position[rows].astype(np.int32),
                "platform": pl.Series(PLATFORMS).gather(platform),
                "list": at,
            }
        ).with_columns(
            pl.when(is_sale).then("price_minor").alias("price_minor"),
            pl.when(is_sale).then(pl.lit(CURRENCY)).alias("currency"),
            pl.when(is_sale).then(basket).alias("basket_id"),
            pl.lit(placement).alias("placement"),
        )
        return EventTable.from_frame(frame.sort("list", "time_ms", "slot").drop("list"))
