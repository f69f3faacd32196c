"""What users do with lists they are shown: look, click, put into the basket, buy.

Enters: shown lists. Leaves: ``Responses`` with the true probabilities beside what happened. Knows nothing of where the
lists come from, so that the same code answers for history and for experiments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.simulation.config import DAY_MS
from aisle.simulation.truth import Truth

BASKET_WITHOUT_PURCHASE = 0.15
"""Share of clicks without a purchase where the item is put into the basket all the same, and left there."""


@dataclass(frozen=True)
class ShownLists:
    """Lists as they were shown. ``item_rows`` (lists, slots) int64, -1 where a slot is empty.

    ``relevance`` (lists, slots) float32 is nan where nothing was searched for. ``query_row`` points into the day's
    queries, -1 where there is none; ``placement`` is a code of ``PLACEMENTS``; ``session`` numbers the day's sessions.
    """

    user_rows: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    relevance: NDArray[np.float32]
    query_row: NDArray[np.int64]
    placement: NDArray[np.int8]
    session: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user_rows)


@dataclass(frozen=True)
class Responses:
    """One row for each shown item: where, with what true probabilities, and what happened.

    ``click_probability`` includes the position; ``purchase_probability`` is given a click and nan without one, where
    it was not needed.
    """

    list_row: NDArray[np.int64]
    position: NDArray[np.int64]
    user_rows: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    click_probability: NDArray[np.float32]
    purchase_probability: NDArray[np.float32]
    is_click: NDArray[np.bool_]
    is_basket: NDArray[np.bool_]
    is_purchase: NDArray[np.bool_]


def respond(truth: Truth, lists: ShownLists, rng: np.random.Generator) -> Responses:
    """Draw what happens. All items of the lists are judged by the needs before them; nothing is changed."""
    list_row, position = np.nonzero(lists.item_rows >= 0)
    users = lists.user_rows[list_row]
    items = lists.item_rows[list_row, position]
    times = lists.time_ms[list_row]
    click_probability = truth.click(
        users, items, times, position=position, relevance=lists.relevance[list_row, position]
    )
    is_click = rng.random(len(items)) < click_probability
    clicked = np.flatnonzero(is_click)
    purchase_probability = np.full(len(items), np.nan, dtype=np.float32)
    purchase_probability[clicked] = truth.purchase(users[clicked], items[clicked], times[clicked])
    is_purchase = np.zeros(len(items), dtype=np.bool_)
    is_purchase[clicked] = rng.random(len(clicked)) < purchase_probability[clicked]
    is_basket = is_purchase.copy()
    can_be_bought = purchase_probability[clicked] > 0
    is_basket[clicked] |= (rng.random(len(clicked)) < BASKET_WITHOUT_PURCHASE) & can_be_bought
    return Responses(
        list_row, position, users, items, click_probability, purchase_probability, is_click, is_basket, is_purchase
    )


def record_purchases(truth: Truth, lists: ShownLists, responses: Responses) -> None:
    """Let the needs of ``truth`` know what was bought."""
    bought = np.flatnonzero(responses.is_purchase)
    days = truth.day(lists.time_ms[responses.list_row[bought]])
    truth.needs.record(responses.user_rows[bought], responses.item_rows[bought], days, truth.assortment)


def start_of_day_ms(truth: Truth, day: int) -> int:
    """Midnight before ``day``."""
    return truth.config.start_ms + day * DAY_MS
