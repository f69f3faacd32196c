"""Writes a day of shopping down as events, with the ratings, reviews and refunds that follow later.

Enters: ``DayOfShopping``. Leaves: ``EventTable`` in order of time. Ids are derived from day and number, so that the
same world always writes the same events.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from aisle.domain import EVENT_TYPES, EventTable, EventType
from aisle.simulation.assortment import ADVERTISEMENT, PROMOTION
from aisle.simulation.behaviour import CHECKOUT_MS, PLACEMENTS, DayOfShopping
from aisle.simulation.reviews import FollowUps
from aisle.simulation.truth import Truth
from aisle.simulation.users import PLATFORMS, REGIONS
from aisle.simulation.wording import CURRENCY, item_ids

DEVICES = ("desktop", "mobile", "mobile")
"""What each platform of ``PLATFORMS`` is used on."""
CODE = {event_type: code for code, event_type in enumerate(EVENT_TYPES)}
SLOT_MS = 4_000


class Journal:
    """Keeps the ids at hand and the follow-ups that are still to come."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._user_ids = truth.population.ids()
        self._item_ids = item_ids(truth.assortment)
        self._follow_ups = FollowUps(truth)

    def write(self, day: DayOfShopping, rng: np.random.Generator) -> EventTable:
        """The events of one day; days must be written in order."""
        texts = day.queries.texts()
        frames = [self._searches(day, texts)]
        for number in range(len(day.parts)):
            frames.extend(self._of_lists(number, day, texts, rng))
        frames.append(self._follow_ups.due(day.day))
        for lists, responses in day.parts:
            self._follow_ups.plan(day.day, lists, responses, rng)
        return self._finished(pl.concat(frames, how="diagonal").sort("time_ms", maintain_order=True), day.day)

    def _searches(self, day: DayOfShopping, texts: pl.Series) -> pl.DataFrame:
        lists = day.parts[0][0]
        asked = np.flatnonzero(lists.query_row >= 0)
        return pl.DataFrame(
            {
                "user": lists.user_rows[asked],
                "type": np.full(len(asked), CODE[EventType.SEARCH], dtype=np.int64),
                "time_ms": lists.time_ms[asked],
                "query": texts.gather(lists.query_row[asked]),
                "session": lists.session[asked],
                "placement": lists.placement[asked],
            }
        )

    def _of_lists(
        self, number: int, day: DayOfShopping, texts: pl.Series, rng: np.random.Generator
    ) -> list[pl.DataFrame]:
        """Impressions of some lists, and all clicks, baskets and purchases."""
        lists, responses = day.parts[number]
        is_logged = rng.random(len(lists)) < self._truth.config.logged_impressions
        kind = self._truth.assortment.kind[responses.item_rows]
        is_promoted = (kind == PROMOTION) | (kind == ADVERTISEMENT)
        steps = (
            (is_logged[responses.list_row], EventType.IMPRESSION, EventType.VIEW_PROMOTION, 0),
            (responses.is_click, EventType.CLICK, EventType.SELECT_PROMOTION, 1_000),
            (responses.is_basket, EventType.ADD_TO_CART, EventType.ADD_TO_CART, 30_000),
            (responses.is_purchase, EventType.PURCHASE, EventType.PURCHASE, 0),
        )
        frames = []
        for happened, usual, promoted, delay_ms in steps:
            rows = np.flatnonzero(happened)
            at = responses.list_row[rows]
            query = pl.Series(lists.query_row[at])
            frames.append(
                pl.DataFrame(
                    {
                        "user": responses.user_rows[rows],
                        "item": responses.item_rows[rows],
                        "type": np.where(is_promoted[rows], CODE[promoted], CODE[usual]),
                        "time_ms": lists.time_ms[at] + responses.position[rows] * SLOT_MS + delay_ms,
                        "query": texts.gather(query.set(query < 0, None)),
                        "session": lists.session[at],
                        "slate": at + number * 1_000_000,
                        "slot": responses.position[rows].astype(np.int32),
                        "placement": lists.placement[at],
                    }
                )
            )
        frames[-1] = self._paid(frames[-1], day, rng)
        return frames

    def _paid(self, purchases: pl.DataFrame, day: DayOfShopping, rng: np.random.Generator) -> pl.DataFrame:
        """Purchases with time, price and quantity: everything in a visit's basket is paid at its end."""
        items, session = purchases["item"].to_numpy(), purchases["session"].to_numpy()
        is_used_up = self._truth.needs.cycle_days[self._truth.assortment.leaf[items]] > 0
        quantity = np.where(is_used_up, rng.geometric(0.7, len(items)), 1)
        return purchases.with_columns(
            pl.Series("time_ms", day.visits.start_ms[session] + CHECKOUT_MS),
            pl.Series("quantity", quantity.astype(np.int64)),
            pl.Series("price_minor", self._truth.assortment.price_minor[items]),
            pl.Series("basket", session),
        )

    def _finished(self, frame: pl.DataFrame, day: int) -> EventTable:
        """Codes turned into names, in the columns of an ``EventTable``."""
        population = self._truth.population
        users = frame["user"].to_numpy()
        platform = population.platform[users]
        label = str(day).zfill(4)
        # follow-ups carry the day of the visit they belong to
        visit_day = pl.col("visit_day").fill_null(day).cast(pl.String).str.zfill(4)
        finished = frame.select(
            pl.format("e-{}-{}", pl.lit(label), pl.int_range(pl.len()).cast(pl.String).str.zfill(6)).alias("event_id"),
            self._user_ids.gather(users).alias("user_id"),
            pl.Series([event_type.value for event_type in EVENT_TYPES]).gather(frame["type"]).alias("type"),
            "time_ms",
            self._item_ids.gather(frame["item"]).alias("item_id"),
            pl.col("quantity").fill_null(1),
            "price_minor",
            pl.when(pl.col("price_minor").is_not_null()).then(pl.lit(CURRENCY)).alias("currency"),
            "rating",
            "text",
            "query",
            pl.format("s-{}-{}", visit_day, "session").alias("session_id"),
            pl.format("b-{}-{}", visit_day, "basket").alias("basket_id"),
            pl.format("l-{}-{}", pl.lit(label), "slate").alias("slate_id"),
            "slot",
            pl.Series(PLACEMENTS).gather(frame["placement"].cast(pl.Int64)).alias("placement"),
            pl.Series(PLATFORMS).gather(platform).alias("platform"),
            pl.Series(DEVICES).gather(platform).alias("device"),
            pl.Series(REGIONS).gather(population.region[users]).alias("region"),
        )
        return EventTable.from_frame(finished)
