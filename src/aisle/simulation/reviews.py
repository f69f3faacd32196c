"""What follows a purchase days later: reviews whose rating and words agree with quality and taste, and refunds.

Enters: purchases. Leaves: event rows on the day they are due. Somebody disappointed sends things back more often.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain import EVENT_TYPES, EventType
from aisle.simulation.config import DAY_MS
from aisle.simulation.responses import Responses, ShownLists
from aisle.simulation.truth import Truth
from aisle.simulation.vocabulary import LANGUAGES, lookup

REVIEW_SHARE = 0.25
N_PLACES = 12
"""Places for the sentences of a mood in a language: divisible by 3 and 4, the numbers of sentences there are."""
MOODS = ("cross", "mixed", "content")
REFUND_LEVEL = {"Clothing": -2.2, "Shoes": -2.2, "Electronics": -2.8}
"""Log-odds of a refund of something just as expected, by department; others -3.6."""
NOTHING_DUE = {"visit_day": pl.Int64, "rating": pl.Float64, "text": pl.String}
CODE = {event_type: code for code, event_type in enumerate(EVENT_TYPES)}


class FollowUps:
    """Reviews and refunds that are still to come, by day."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._to_come: dict[int, list[pl.DataFrame]] = {}
        departments = [truth.vocabulary.departments[leaf.department].en for leaf in truth.vocabulary.leaves]
        self._nouns = pl.Series([text for leaf in truth.vocabulary.leaves for word in leaf.nouns[:2] for text in word])
        self._refund_level = np.array([REFUND_LEVEL.get(name, -3.6) for name in departments])

    def due(self, day: int) -> pl.DataFrame:
        """The event rows of ``day``."""
        return pl.concat([pl.DataFrame(schema=NOTHING_DUE), *self._to_come.pop(day, [])], how="diagonal")

    def plan(self, day: int, lists: ShownLists, responses: Responses, rng: np.random.Generator) -> None:
        """Decide what will follow the purchases of ``day``."""
        bought = np.flatnonzero(responses.is_purchase)
        users, items = responses.user_rows[bought], responses.item_rows[bought]
        session = lists.session[responses.list_row[bought]]
        joy = self.contentment(users, items, day) + rng.normal(0.0, 0.7, len(bought))
        level = self._refund_level[self._truth.assortment.leaf[items]] - 1.0 * joy
        is_refund = rng.random(len(bought)) < 1.0 / (1.0 + np.exp(-level))
        is_review = rng.random(len(bought)) < REVIEW_SHARE
        self._add(day, rng.integers(3, 14, len(bought)), self._refunds(users, items, session), is_refund, rng)
        reviews = self._reviews(users, items, session, joy, rng)
        self._add(day, rng.integers(2, 21, len(bought)), reviews, is_review, rng)

    def contentment(
        self, user_rows: NDArray[np.integer], item_rows: NDArray[np.integer], day: float
    ) -> NDArray[np.float64]:
        """How content a buyer will be on average: quality, and taste meeting style; mean about 0.3, spread about 1."""
        taste = self._truth.taste(user_rows, day)
        match = np.einsum("nd,nd->n", taste, self._truth.assortment.style[item_rows])
        return 0.85 * self._truth.assortment.quality[item_rows] + 0.8 * match

    def _refunds(self, users: NDArray[np.int64], items: NDArray[np.int64], session: NDArray[np.int64]) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "user": users,
                "item": items,
                "type": np.full(len(users), CODE[EventType.REFUND]),
                "price_minor": self._truth.assortment.price_minor[items],
                "session": session,
                "basket": session,
            }
        )

    def _reviews(
        self,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        session: NDArray[np.int64],
        joy: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> pl.DataFrame:
        rating = np.clip(np.round(3.7 + 1.0 * joy), 1, 5)
        mood = np.digitize(rating, [2.5, 3.5])
        language = self._truth.population.language[users]
        return pl.DataFrame(
            {
                "user": users,
                "item": items,
                "type": np.full(len(users), CODE[EventType.REVIEW]),
                "rating": rating.astype(np.float64),
                "text": self._texts(items, mood, language, rng),
                "session": session,
            }
        )

    def _texts(
        self,
        items: NDArray[np.int64],
        mood: NDArray[np.integer],
        language: NDArray[np.integer],
        rng: np.random.Generator,
    ) -> pl.Series:
        opening, side = _sentences()
        leaf = self._truth.assortment.leaf[items].astype(np.int64)
        noun_row = rng.integers(2, size=len(items)) * len(LANGUAGES) + language + leaf * 2 * len(LANGUAGES)
        block = (mood * len(LANGUAGES) + language) * N_PLACES
        first = lookup(opening, block + rng.integers(N_PLACES, size=len(items)))
        second = lookup(side, block + rng.integers(N_PLACES, size=len(items)))
        frame = pl.DataFrame({"first": first, "second": second, "noun": lookup(self._nouns, noun_row)})
        return frame.select(
            pl.concat_str(pl.col("first").str.replace("{noun}", pl.col("noun"), literal=True), "second").alias("text")
        ).to_series()

    def _add(
        self,
        day: int,
        delay_days: NDArray[np.int64],
        rows: pl.DataFrame,
        wanted: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> None:
        """Keep the wanted rows until they are due."""
        time_of_day = rng.integers(8 * 3_600_000, 23 * 3_600_000, rows.height)
        due_day = day + delay_days
        start = self._truth.config.start_ms
        rows = rows.with_columns(
            pl.Series("time_ms", start + due_day * DAY_MS + time_of_day), pl.lit(day).cast(pl.Int64).alias("visit_day")
        )
        for due in np.unique(due_day[wanted]).tolist():
            if due < self._truth.config.n_days:
                self._to_come.setdefault(due, []).append(rows.filter(wanted & (due_day == due)))


@cache
def _sentences() -> tuple[pl.Series, pl.Series]:
    """Openings and sides, ``N_PLACES`` for each mood and language, filled by repetition."""
    table = tomllib.loads(files("aisle.simulation").joinpath("reviews.toml").read_text(encoding="utf-8"))
    opening: list[str] = []
    side: list[str] = []
    for mood in MOODS:
        for language in LANGUAGES:
            sentences, sides = table[mood][language], table[mood][f"{language}_side"]
            opening.extend(sentences[place % len(sentences)] for place in range(N_PLACES))
            side.extend(sides[place % len(sides)] for place in range(N_PLACES))
    return pl.Series(opening), pl.Series(side)
