"""Joins lists that were shown with what came of them.

Enters: slates with the features that were known when they were made, and the events that refer to them. Leaves:
``Examples``. Reads no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from aisle.domain import SHOWN_TYPES, EventTable, EventType, Examples, Features, Slate
from aisle.ranking.delays import chance_known

ATTRIBUTION_DAYS = 7.0
"""A response later than this is not laid to the list."""
_CLOCK_SKEW_MS = 5 * 60_000
"""A response may seem to come this much before its list: the page's clock is not the shop's."""
LEAST_TOLD = 0.1
"""Share of the answered lists with impressions from which on the others, known only if clicked, are left out."""
_STILL_OPEN_MS = 30 * 60_000
"""A list younger than this may yet be clicked."""
_DAY_MS = 86_400_000

BOUGHT_TYPES = (EventType.PURCHASE,)
CLICK_TYPES = (
    EventType.CLICK,
    EventType.VIEW,
    EventType.SELECT_PROMOTION,
    EventType.ADD_TO_CART,
    EventType.WISH,
    EventType.BEGIN_CHECKOUT,
    EventType.PURCHASE,
)
"""Who puts an item into the basket or buys it has clicked it, whether or not the page said so."""


@dataclass(frozen=True)
class ResponseRows:
    """What followed each list, one row for each list and item: ``slate_id``, ``item_id`` and three flags.

    ``item_id`` None stands for the list as a whole.
    """

    frame: pl.DataFrame

    @classmethod
    def of(cls, tables: Iterable[EventTable]) -> ResponseRows:
        """Gather events; those without a ``slate_id`` are passed over."""
        pages = [_noted(table) for table in tables]
        rows = pl.concat(pages) if pages else _noted(EventTable.empty())
        return cls(rows)

    def known_until(self, now_ms: int) -> int:
        """The time of the newest response, at most ``now_ms``: events may be imported long after they happened."""
        newest = self.frame["time_ms"].max()
        return min(int(newest), now_ms) if isinstance(newest, int) else now_ms


def assemble(
    slates: Sequence[Slate], responses: ResponseRows, until_ms: int, *, attribution_days: float = ATTRIBUTION_DAYS
) -> Examples:
    """One example for each slot that was shown, in order of time, by what is known until ``until_ms``.

    A slate was shown when impressions of its items came, and of it only those items and the ones that were clicked.
    Where impressions come of next to no lists (less than ``LEAST_TOLD``), a slate counts as shown when any event refers
    to it, and ``has_impressions`` is False: lists without a click are not there, and the click rates of the others mean
    nothing. Slates without features are passed over, and those that may yet be clicked.
    """
    closed_ms = until_ms - _STILL_OPEN_MS
    usable = sorted(
        (slate for slate in slates if slate.features is not None and slate.time_ms <= closed_ms),
        key=lambda slate: slate.time_ms,
    )
    places = _places(usable)
    known = _in_time(responses.frame, usable, attribution_days)
    by_item = known.group_by("slate_id", "item_id").agg(pl.col("is_shown", "is_click", "is_purchase").any())
    by_list = known.group_by("slate_id").agg(pl.col("is_shown").any().alias("is_told"))
    has_impressions = by_list["is_told"].sum() >= LEAST_TOLD * by_list.height
    if has_impressions:
        by_list = by_list.filter("is_told")
    joined = (
        places.join(by_list, on="slate_id", how="inner", maintain_order="left")
        .join(by_item, on=["slate_id", "item_id"], how="left", maintain_order="left")
        .with_columns(pl.col("is_shown", "is_click", "is_purchase").fill_null(value=False))
        .filter(~pl.col("is_told") | pl.col("is_shown") | pl.col("is_click"))
    )
    return Examples(
        features=_features(usable, joined["row"].to_numpy()),
        lists=joined["list"].to_numpy(),
        slots=joined["slot"].to_numpy(),
        times_ms=joined["time_ms"].to_numpy(),
        propensities=joined["propensity"].to_numpy(),
        is_click=joined["is_click"].to_numpy(),
        is_purchase=joined["is_purchase"].to_numpy(),
        purchase_known=_purchase_known(known, joined["time_ms"].to_numpy(), until_ms),
        has_impressions=has_impressions,
    )


def _noted(table: EventTable) -> pl.DataFrame:
    def is_one_of(types: Sequence[EventType]) -> pl.Expr:
        return pl.col("type").is_in([event_type.value for event_type in types])

    return table.frame.filter(pl.col("slate_id").is_not_null()).select(
        "slate_id",
        "item_id",
        "time_ms",
        is_shown=is_one_of(SHOWN_TYPES),
        is_click=is_one_of(CLICK_TYPES),
        is_purchase=is_one_of(BOUGHT_TYPES),
    )


def _places(slates: Sequence[Slate]) -> pl.DataFrame:
    """One row for each slot of each slate, numbered through."""
    sizes = [len(slate.slots) for slate in slates]
    lists = np.repeat(np.arange(len(slates)), sizes)
    return pl.DataFrame(
        {
            "slate_id": pl.Series([slate.slate_id for slate in slates], dtype=pl.String).gather(lists),
            "item_id": pl.Series([item_id for slate in slates for item_id in slate.item_ids], dtype=pl.String),
            "list": lists,
            "slot": np.concatenate([np.arange(size) for size in sizes]) if sizes else np.empty(0, np.int64),
            "time_ms": np.repeat(np.array([slate.time_ms for slate in slates], dtype=np.int64), sizes),
            "propensity": np.array([slot.propensity for slate in slates for slot in slate.slots], dtype=np.float32),
        }
    ).with_row_index("row")


def _in_time(responses: pl.DataFrame, slates: Sequence[Slate], attribution_days: float) -> pl.DataFrame:
    shown = pl.DataFrame(
        {"slate_id": [slate.slate_id for slate in slates], "shown_ms": [slate.time_ms for slate in slates]},
        schema={"slate_id": pl.String, "shown_ms": pl.Int64},
    )
    after = pl.col("time_ms") - pl.col("shown_ms")
    return responses.join(shown, on="slate_id").filter(
        (after >= -_CLOCK_SKEW_MS) & (after <= int(attribution_days * _DAY_MS))
    )


def _purchase_known(responses: pl.DataFrame, times_ms: np.ndarray, until_ms: int) -> np.ndarray:
    """The chance that a purchase in lists of ``times_ms`` (n,) would be known by now. (n,) float32"""
    bought = responses.filter("is_purchase").group_by("slate_id", "item_id").agg(pl.col("time_ms", "shown_ms").min())
    delays = np.maximum((bought["time_ms"] - bought["shown_ms"]).to_numpy(), 0)
    ages = np.maximum(until_ms - bought["shown_ms"].to_numpy(), delays)
    return chance_known(delays, ages, until_ms - times_ms).astype(np.float32)


def _features(slates: Sequence[Slate], rows: np.ndarray) -> Features:
    """All slots' features under one set of names, the newest list's first; then only ``rows``."""
    tables = [slate.features for slate in slates if slate.features is not None]
    names = tuple(dict.fromkeys(name for table in reversed(_distinct(tables)) for name in table.names))
    values = [table.aligned(names) for table in tables]
    everything = np.concatenate(values) if values else np.empty((0, 0), dtype=np.float32)
    return Features(names, everything[rows])


def _distinct(tables: Sequence[Features]) -> list[Features]:
    """The last table of each set of names, in order."""
    return list({table.names: table for table in tables}.values())
