"""Which texts belong together in a shop, from what it has anyway.

Enters: items, behaviour, searches and lists that answered them. Leaves: pairs of texts: a query and what was clicked or
bought after it, a title and its description, items looked at or bought one after another. Knows nothing of models.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.contracts import RecordStore
from aisle.domain import INTEREST_TYPES, EventType, Snapshot
from aisle.flows.slate_pages import slates_after
from aisle.language.contrast_pairs import TextPairs
from aisle.storage.durable import flush, move

Int64Array = NDArray[np.int64]

QUERY, DESCRIPTION, VIEWED, BOUGHT = "query", "description", "viewed together", "bought together"
_SOON_MS = 30 * 60_000
"""What is clicked or bought within half an hour after a search answers it."""
_NEIGHBOURS = 5
"""Items that pair with one item, of each kind, at most."""
_LEAST_TOGETHER = 2
"""Times that two items must have followed each other."""
_ENOUGH_QUERIES = 50
"""Held-out queries by which models are compared, and by them alone."""
_SAVED = "pairs.parquet"
_NEWEST_SLATES = 100_000


@dataclass(frozen=True)
class ShopPairs:
    """Pairs of every kind in one table: ``kind``, ``left`` (text), ``item_row`` of the right text, sorted.

    ``texts`` (n_items,) are the items' texts as they are searched. Pairs of a title with its description lead to row
    ``description_row`` of ``descriptions``, one in each language of an item; for other kinds it is null.
    """

    frame: pl.DataFrame
    texts: Sequence[str]
    descriptions: Sequence[str]

    def __len__(self) -> int:
        return self.frame.height

    def counts(self) -> Mapping[str, float]:
        """Pairs of each kind, as metrics of a manifest."""
        found = self.frame.group_by("kind", maintain_order=True).len().iter_rows()
        return {f"n_pairs.{kind}": float(n) for kind, n in found}

    def save(self, folder: Path) -> None:
        """Write all to ``folder``, the pairs last, so that they are there only when all is."""
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"text": self.texts}, schema={"text": pl.String}).write_parquet(folder / "texts.parquet")
        of_items = pl.DataFrame({"text": self.descriptions}, schema={"text": pl.String})
        of_items.write_parquet(folder / "descriptions.parquet")
        self.frame.write_parquet(folder / "pairs.new")
        for name in ("texts", "descriptions"):
            flush(folder / f"{name}.parquet")
        move(folder / "pairs.new", folder / _SAVED)

    @classmethod
    def saved(cls, folder: Path) -> Self | None:
        """What ``save`` wrote; None where it did not come to its end."""
        if not (folder / _SAVED).is_file():
            return None
        texts, descriptions = (
            pl.read_parquet(folder / f"{name}.parquet")["text"].to_list() for name in ("texts", "descriptions")
        )
        return cls(pl.read_parquet(folder / _SAVED), texts, descriptions)

    def parted(self, held_out_share: float) -> tuple[TextPairs, TextPairs]:
        """Pairs to learn from and pairs to compare models by; a left text is in one of them only.

        Models are compared by what they are for, queries, unless there are few of them. Two items that belong together
        are no pair to learn from either where the other way round they are held out.
        """
        number = self.frame["left"].map_elements(_number, return_dtype=pl.Int64)
        is_held_out = number < round(1_000 * held_out_share)
        held_out = self.frame.filter(is_held_out)
        least = round(1_000 * held_out_share)
        rows: list[int] = self.frame["item_row"].unique().to_list()
        mirrored = [row for row in rows if _number(self.texts[row]) < least]
        is_mirrored = self.frame["item_row"].is_in(mirrored)
        is_mirrored &= self.frame["kind"].is_in([VIEWED, BOUGHT])
        return self._as_pairs(self.frame.filter(~is_held_out & ~is_mirrored)), self._as_pairs(_compared(held_out))

    def readable(self, held_out_share: float) -> list[str]:
        """Items' texts to learn words from: without those that hold a title and its description of held-out pairs."""
        number = self.frame["left"].map_elements(_number, return_dtype=pl.Int64)
        held_out = _compared(self.frame.filter(number < round(1_000 * held_out_share)))
        hidden = set(held_out.filter(pl.col("kind") == DESCRIPTION)["item_row"].to_list())
        return [text for row, text in enumerate(self.texts) if row not in hidden]

    def _as_pairs(self, frame: pl.DataFrame) -> TextPairs:
        rows = frame.with_columns(right=pl.coalesce(pl.col("description_row") + len(self.texts), "item_row"))
        everything = [*self.texts, *self.descriptions]
        used = np.unique(rows["right"].to_numpy())
        lefts = rows["left"].unique(maintain_order=True)
        left = rows["left"].replace_strict(lefts, pl.Series(range(len(lefts)), dtype=pl.Int64), return_dtype=pl.Int64)
        return TextPairs(
            lefts.to_list(),
            [everything[row] for row in used.tolist()],
            left.to_numpy().astype(np.int64),
            np.searchsorted(used, rows["right"].to_numpy()).astype(np.int64),
            is_query=lefts.is_in(rows.filter(pl.col("kind") == QUERY)["left"].implode()).to_numpy(),
        )


def begun_with(work: Path, gather: Callable[[], ShopPairs]) -> ShopPairs:
    """What a run that was stopped began with, kept in ``work``, for a shop does not stand still; else gathered now."""
    pairs = ShopPairs.saved(work)
    if pairs is None:
        pairs = gather()
        pairs.save(work)
    return pairs


def _number(text: str) -> int:
    """Below 1,000, by a hash."""
    return zlib.crc32(text.encode("utf-8", "replace")) % 1_000


def _compared(held_out: pl.DataFrame) -> pl.DataFrame:
    """Queries, unless there are few of them."""
    queries = held_out.filter(pl.col("kind") == QUERY)
    return queries if queries["left"].n_unique() >= _ENOUGH_QUERIES else held_out


def gather_pairs(
    snapshot: Snapshot, records: RecordStore, texts: Sequence[str], at_most: int | None = None
) -> ShopPairs:
    """The pairs that the records hold.

    Args:
        snapshot: items and behaviour.
        records: for what was searched and clicked.
        texts: (n_items,) the items' as they are searched.
        at_most: pairs; all kinds keep their share, chosen by a hash of the left text. None takes all.

    Cost: O(events + slates), a few seconds a million; texts are written out for the pairs that are chosen only.
    """
    described = _described(snapshot)
    typed = [
        _of_queries(_answers_to_searches(snapshot, records)),
        _of_queries(_answers_in_lists(snapshot, records)),
        _of_descriptions(described),
    ]
    near = [
        _of_neighbours(snapshot, VIEWED, INTEREST_TYPES),
        _of_neighbours(snapshot, BOUGHT, (EventType.PURCHASE,)),
    ]
    of_items = pl.DataFrame({"left": list(texts)}, schema={"left": pl.String}).select(order=_ORDER, is_said=_IS_SAID)
    of_items = of_items.with_row_index("left_row").with_columns(pl.col("left_row").cast(pl.Int64))
    frame = pl.concat(
        [
            *(one.with_columns(order=_ORDER, is_said=_IS_SAID) for one in typed),
            *(one.join(of_items, on="left_row", how="left") for one in near),
        ],
        how="diagonal",
    )
    frame = frame.filter("is_said").unique(_PAIR, keep="first", maintain_order=True).sort(_PAIR)
    chosen = frame if at_most is None else frame.head(at_most)
    left = [texts[row] if text is None else text for text, row in chosen.select("left", "left_row").iter_rows()]
    chosen = chosen.select("kind", pl.Series("left", left, dtype=pl.String), "item_row", "description_row")
    ordered = chosen.sort("kind", "left", "item_row", "description_row")
    return ShopPairs(ordered, texts, described["description"].to_list())


_PAIR = ("order", "kind", "item_row", "description_row")
_ORDER = pl.col("left").hash(0)
_IS_SAID = pl.col("left").str.strip_chars() != ""


def _of_queries(answers: pl.DataFrame) -> pl.DataFrame:
    query = pl.col("query").str.strip_chars().str.to_lowercase()
    return answers.select(pl.lit(QUERY).alias("kind"), query.alias("left"), pl.col("item_row").cast(pl.Int64))


def _answers_to_searches(snapshot: Snapshot, records: RecordStore) -> pl.DataFrame:
    """``query`` and ``item_row`` of the clicks and purchases that came soon after a search, before the next one.

    Both are of one session, or of one user where either names no session, as orders often do not.
    """
    pages = [table.frame.select("user_id", "session_id", "time_ms", "query") for table in records.read_searches()]
    if not pages:
        return pl.DataFrame(schema={"query": pl.String, "item_row": pl.Int64})
    users = pl.DataFrame({"user_id": list(snapshot.user_ids)}, schema={"user_id": pl.String}).with_row_index("user_row")
    searches = pl.concat(pages).sort("time_ms").with_columns(searched_ms="time_ms")
    done = (
        snapshot.interactions.lazy()
        .filter(pl.col("type").is_in([kind.value for kind in INTEREST_TYPES]))
        .join(users.lazy().with_columns(pl.col("user_row").cast(pl.Int32)), on="user_row")
        .select("user_id", "session_id", "time_ms", pl.col("item_row").cast(pl.Int64))
        .sort("time_ms")
        .with_row_index("response")
        .collect()
    )
    in_session, outside = pl.col("session_id").is_not_null(), pl.col("session_id").is_null()
    ways = [
        (done.filter(in_session), searches.filter(in_session), "session_id"),
        (done.filter(in_session), searches.filter(outside), "user_id"),
        (done.filter(outside), searches, "user_id"),
    ]
    found = [
        responses.join_asof(
            asked.select(by, "time_ms", "searched_ms", "query"),
            on="time_ms",
            by=by,
            tolerance=_SOON_MS,
            check_sortedness=False,
        ).select("response", "item_row", "query", "searched_ms")
        for responses, asked, by in ways
    ]
    latest = pl.concat(found).drop_nulls("query").sort("response", "searched_ms", maintain_order=True)
    return latest.unique("response", keep="last", maintain_order=True).select("query", "item_row")


def _answers_in_lists(snapshot: Snapshot, records: RecordStore) -> pl.DataFrame:
    """``query`` and ``item_row`` of what was clicked or bought in the lists that answered queries."""
    after = records.seq_before_slates(_NEWEST_SLATES)
    queries = {slate.slate_id: slate.query for slate in slates_after(records, after) if slate.query}
    rows = {item_id: row for row, item_id in enumerate(snapshot.items.frame["item_id"])}
    wanted = [kind.value for kind in INTEREST_TYPES]
    pages = [
        table.frame.filter(pl.col("type").is_in(wanted), pl.col("slate_id").is_in(list(queries)))
        .select("slate_id", "item_id")
        .drop_nulls()
        for table in (records.read_slate_events(after) if queries else ())
    ]
    found = pl.concat(pages) if pages else pl.DataFrame(schema={"slate_id": pl.String, "item_id": pl.String})
    return pl.DataFrame(
        {
            "query": pl.Series([queries[slate_id] for slate_id in found["slate_id"]], dtype=pl.String),
            "item_row": pl.Series([rows.get(item_id, -1) for item_id in found["item_id"]], dtype=pl.Int64),
        }
    ).filter(pl.col("item_row") >= 0)


def _described(snapshot: Snapshot) -> pl.DataFrame:
    """``item_row``, ``title`` and ``description`` of each item in each of its languages that has both."""
    rows = snapshot.items.frame.select("texts").with_row_index("item_row").explode("texts").drop_nulls("texts")
    named = rows.select("item_row", pl.col("texts").struct.unnest())
    return named.filter(pl.col("title").str.strip_chars() != "", pl.col("description").str.strip_chars() != "")


def _of_descriptions(described: pl.DataFrame) -> pl.DataFrame:
    return described.with_row_index("description_row").select(
        pl.lit(DESCRIPTION).alias("kind"),
        pl.col("title").alias("left"),
        pl.col("item_row", "description_row").cast(pl.Int64),
    )


def _of_neighbours(snapshot: Snapshot, kind: str, types: Sequence[EventType]) -> pl.DataFrame:
    """Items that followed each other in a session or basket more than once, the nearest few of each; by ``left_row``.

    Near is ``together / sqrt(n_left n_right)``, cosine of their occurrences, so that what everybody takes is near to
    little.
    """
    group = "basket_id" if kind == BOUGHT else "session_id"
    day = pl.format("{}-{}", "user_row", pl.col("time_ms") // 86_400_000)
    steps = (
        snapshot.interactions.lazy()
        .filter(pl.col("type").is_in([one.value for one in types]))
        .select(pl.coalesce(group, day).alias("group"), "time_ms", pl.col("item_row").cast(pl.Int64))
        .unique(["group", "item_row"], keep="first", maintain_order=True)
        .with_columns(next=pl.col("item_row").shift(-1).over("group"))
        .drop_nulls("next")
        .select("item_row", "next")
    )
    both = pl.concat([steps, steps.select(item_row="next", next="item_row")])
    together = both.group_by("item_row", "next").len("n").filter(pl.col("n") >= _LEAST_TOGETHER)
    totals = both.group_by("item_row").len("total")
    near = (
        together.join(totals, on="item_row")
        .join(totals.rename({"item_row": "next", "total": "next_total"}), on="next")
        .with_columns(near=pl.col("n") / (pl.col("total") * pl.col("next_total")).sqrt())
        .sort(["item_row", "near", "next"], descending=[False, True, False])
        .group_by("item_row", maintain_order=True)
        .head(_NEIGHBOURS)
        .collect()
    )
    return near.select(
        pl.lit(kind).alias("kind"), pl.col("item_row").alias("left_row"), pl.col("next").alias("item_row")
    )
