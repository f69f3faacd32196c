"""The shop's searches and what came of them, from lists that it showed and events that it was sent.

Enters: records. Leaves: a table with one row a search. A search is a query of one person; the same query of the same
person within half an hour (another page, a filter, an event that tells of it again) is the same search. Of an erased
person nothing is left to read: his events are gone, and his lists have neither user nor query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from aisle.contracts import Progress, RecordStore
from aisle.domain import EventType, Snapshot
from aisle.errors import DataError
from aisle.flows.search import PLACEMENT, understand_query
from aisle.ranking.examples import CLICK_TYPES

SAME_SEARCH_MS = 30 * 60_000
SOON_MS = 30 * 60_000
"""What names no list belongs to a search at most so long before it."""
LATER_MS = 86_400_000
"""A purchase of an item belongs to a search in which it was clicked at most so long before."""
NEWEST_SLATES = 200_000
_PAGE = 2_000
_CLICKS = [kind.value for kind in CLICK_TYPES]
_ASKS = {
    "who": pl.String,
    "time_ms": pl.Int64,
    "text": pl.String,
    "slate_id": pl.String,
    "n_slots": pl.Int64,
    "relaxed": pl.String,
}
_SLOTS = {"slate_id": pl.String, "item_id": pl.String, "slot": pl.Int32}
_RESPONSES = {
    "search": pl.UInt32,
    "who": pl.String,
    "item_id": pl.String,
    "time_ms": pl.Int64,
    "rank": pl.Int64,
    "is_purchase": pl.Boolean,
}


@dataclass(frozen=True)
class SearchLog:
    """``searches`` has a row a search of the window, in order of time.

    Columns: ``search`` (number), ``who`` (null: not known), ``person`` (never null; who is not known is somebody of his
    own), ``time_ms``, ``text`` as typed, ``key`` (capitals and forms aside), ``is_nothing`` (null where the list is not
    known), ``is_shown`` (whether anything was shown), ``relaxed``, ``n_clicks``, ``first_rank`` (from 1, null without),
    ``n_purchases``. ``earlier`` holds the keys asked before the window, None where the log begins inside it.
    """

    searches: pl.DataFrame
    earlier: frozenset[str] | None
    is_cut: bool
    """Whether there are older lists than the newest ``NEWEST_SLATES``, which were not read."""


def read_log(records: RecordStore, snapshot: Snapshot, since_ms: int, until_ms: int, progress: Progress) -> SearchLog:
    """Searches from ``since_ms`` to ``until_ms``, and what came of them until now.

    What names a search's list, or its query, belongs to it; what names nothing belongs to the person's latest search
    of the last half hour, if that list showed the item (or its items are not known); a purchase that names no list
    belongs to the search in which its item was clicked within the day before. Cost: some 10 microseconds an event that
    names a list, 50 a list.
    """
    after = records.seq_before_slates(NEWEST_SLATES)
    slates, slots = _lists(records, after, progress)
    asks = _with_keys(pl.concat([slates, _told(records, slates, progress)]))
    earlier = asks.filter(pl.col("time_ms") < since_ms)
    asks = asks.filter(pl.col("time_ms").is_between(since_ms, until_ms))
    asks = asks.sort("time_ms", "slate_id", nulls_last=True)
    asks = _numbered(asks)
    responses = _responses(records, snapshot, asks, slots, since_ms, progress)
    return SearchLog(
        _finished(asks, responses), frozenset(earlier["key"]) if earlier.height else None, is_cut=after > 0
    )


def key_of(text: str) -> str:
    """What makes two queries the same one: NFKC, spaces and capitals aside; "" where it cannot be read."""
    try:
        return understand_query(text).text.casefold()
    except DataError:
        return ""


def _lists(records: RecordStore, after: int, progress: Progress) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lists that answered queries, and their slots."""
    asks: list[tuple[object, ...]] = []
    slots: list[tuple[str, str, int]] = []
    while True:
        after, page = records.read_slates(after, _PAGE)
        if not page:
            break
        for slate in page:
            if slate.placement == PLACEMENT and slate.query:
                relaxed = slate.versions.get("relaxed")
                asks.append((slate.user_id, slate.time_ms, slate.query, slate.slate_id, len(slate.slots), relaxed))
                slots += [(slate.slate_id, item_id, place) for place, item_id in enumerate(slate.item_ids)]
        progress("read lists", len(asks))
    return pl.DataFrame(asks, schema=_ASKS, orient="row"), pl.DataFrame(slots, schema=_SLOTS, orient="row")


def _told(records: RecordStore, slates: pl.DataFrame, progress: Progress) -> pl.DataFrame:
    """Search events; one that names a list that is there says only whose it was, where the list does not."""
    pages = []
    for table in records.read_searches():
        pages.append(
            table.frame.select(pl.col("user_id").alias("who"), "time_ms", pl.col("query").alias("text"), "slate_id")
        )
        progress("read searches", sum(page.height for page in pages))
    if not pages:
        return pl.DataFrame(schema=_ASKS)
    told = pl.concat(pages).with_columns(n_slots=pl.lit(None, pl.Int64), relaxed=pl.lit(None, pl.String))
    unknown = told.join(slates.select("slate_id"), on="slate_id", how="anti")
    named = told.filter(pl.col("slate_id").is_not_null()).join(
        slates.filter(pl.col("who").is_null()).select("slate_id"), on="slate_id", how="semi"
    )
    # The event stands beside the list as a row of its own: ``_numbered`` makes them one search.
    return pl.concat([unknown, named]).select(list(_ASKS)).cast(pl.Schema(_ASKS))


def _with_keys(asks: pl.DataFrame) -> pl.DataFrame:
    of_text = {text: key_of(text) for text in asks["text"].unique().to_list()}
    owner = asks.filter(pl.col("who").is_not_null() & pl.col("slate_id").is_not_null()).unique("slate_id")
    owner = owner.select("slate_id", owner="who")
    return (
        asks.with_columns(key=pl.col("text").replace_strict(of_text, return_dtype=pl.String))
        .filter(pl.col("key") != "")
        .join(owner, on="slate_id", how="left", nulls_equal=False)
        .with_columns(who=pl.coalesce("who", "owner"))
        .drop("owner")
    )


def _numbered(asks: pl.DataFrame) -> pl.DataFrame:
    """The same rows with the number of their search, which are numbered in order of time."""
    asks = asks.with_row_index("place").with_columns(
        group=pl.when(pl.col("who").is_null()).then(pl.format("?{}", "place")).otherwise(pl.format("!{}", "who"))
    )
    gap = pl.col("time_ms").diff().over("group", "key")
    begins = asks.with_columns(begins=(gap.is_null() | (gap > SAME_SEARCH_MS)).cast(pl.UInt32))
    begins = begins.with_columns(nth=pl.col("begins").cum_sum().over("group", "key"))
    return (
        begins.with_columns(search=pl.col("place").min().over("group", "key", "nth"))
        .with_columns(search=(pl.col("search").rank("dense") - 1).cast(pl.UInt32))
        .rename({"group": "person"})
        .drop("begins", "nth", "place")
    )


def _responses(
    records: RecordStore,
    snapshot: Snapshot,
    asks: pl.DataFrame,
    slots: pl.DataFrame,
    since_ms: int,
    progress: Progress,
) -> pl.DataFrame:
    named = _naming_lists(records, since_ms, progress)
    searches = asks.group_by("search", maintain_order=True).agg(
        pl.col("who", "key", "time_ms").first(), is_listed=pl.col("n_slots").is_not_null().any()
    )
    of_slates = asks.filter(pl.col("slate_id").is_not_null(), pl.col("n_slots").is_not_null())
    of_slates = of_slates.select("search", "slate_id").unique("slate_id")
    placed = slots.join(of_slates, on="slate_id").select("search", "item_id", place="slot")
    placed = placed.group_by("search", "item_id").agg(pl.col("place").min())
    by_list = named.join(of_slates, on="slate_id")
    others = named.join(of_slates, on="slate_id", how="anti").filter(pl.col("query").is_not_null())
    keys = {text: key_of(text) for text in others["query"].unique().to_list()}
    others = others.with_columns(key=pl.col("query").replace_strict(keys, return_dtype=pl.String)).sort("time_ms")
    latest = searches.filter(pl.col("who").is_not_null()).sort("time_ms")
    by_query = others.join_asof(
        latest.select("search", "who", "key", "time_ms", "is_listed"),
        on="time_ms",
        by=["who", "key"],
        tolerance=LATER_MS,
        check_sortedness=False,
    )
    by_query = by_query.filter(pl.col("search").is_not_null(), ~pl.col("is_listed"))
    unnamed = _naming_nothing(snapshot, named, since_ms)
    after = unnamed.filter(~pl.col("is_purchase")).join_asof(
        latest.select("search", "who", "time_ms", "is_listed"),
        on="time_ms",
        by="who",
        tolerance=SOON_MS,
        check_sortedness=False,
    )
    after = after.join(placed, on=["search", "item_id"], how="left")
    after = after.filter(pl.col("search").is_not_null() & (~pl.col("is_listed") | pl.col("place").is_not_null()))
    clicks = pl.concat(
        [
            by_list.join(placed, on=["search", "item_id"], how="left").select(_response("slot", "place")),
            by_query.select(_response("slot")),
            after.select(_response("place")),
        ]
    )
    bought = unnamed.filter("is_purchase").join_asof(
        clicks.filter(pl.col("who").is_not_null()).sort("time_ms").select("search", "who", "item_id", "time_ms"),
        on="time_ms",
        by=["who", "item_id"],
        tolerance=LATER_MS,
        check_sortedness=False,
    )
    bought = bought.filter(pl.col("search").is_not_null()).with_columns(slot=pl.lit(None, pl.Int32))
    return pl.concat([clicks, bought.select(_response("slot"))])


def _response(*places: str) -> list[pl.Expr]:
    rank = pl.coalesce(*(pl.col(name).cast(pl.Int64) for name in places)) + 1
    columns = {**{name: pl.col(name) for name in _RESPONSES if name != "rank"}, "rank": rank}
    return [columns[name].cast(kind).alias(name) for name, kind in _RESPONSES.items()]


def _naming_lists(records: RecordStore, since_ms: int, progress: Progress) -> pl.DataFrame:
    """Clicks and what follows of them that name a list."""
    pages: list[pl.DataFrame] = []
    n_read = 0
    wanted: Sequence[str] = ("item_id", "time_ms", "query", "slate_id", "slot")
    for table in records.read_slate_events():
        n_read += len(table)
        page = table.frame.filter(pl.col("type").is_in(_CLICKS), pl.col("time_ms") >= since_ms)
        page = page.with_columns(is_purchase=pl.col("type") == EventType.PURCHASE.value)
        pages.append(page.select(pl.col("user_id").alias("who"), *wanted, "is_purchase"))
        progress("read what was clicked", n_read)
    schema = {"who": pl.String, "item_id": pl.String, "time_ms": pl.Int64, "query": pl.String, "slate_id": pl.String}
    nothing = pl.DataFrame(schema={**schema, "slot": pl.Int32, "is_purchase": pl.Boolean})
    return pl.concat([nothing, *pages], how="vertical_relaxed")


def _naming_nothing(snapshot: Snapshot, named: pl.DataFrame, since_ms: int) -> pl.DataFrame:
    """The other clicks and purchases, in order of time: ``who``, ``item_id``, ``time_ms``, ``is_purchase``."""
    rows = snapshot.interactions.filter(pl.col("time_ms") >= since_ms, pl.col("type").is_in(_CLICKS))
    users = pl.Series(list(snapshot.user_ids), dtype=pl.String)
    items = snapshot.items.frame["item_id"]
    done = pl.DataFrame(
        {
            "who": users.gather(rows["user_row"].cast(pl.Int64)),
            "item_id": items.gather(rows["item_row"].cast(pl.Int64)),
            "time_ms": rows["time_ms"],
            "is_purchase": rows["type"] == EventType.PURCHASE.value,
        },
        schema={"who": pl.String, "item_id": pl.String, "time_ms": pl.Int64, "is_purchase": pl.Boolean},
    )
    return done.join(named, on=["who", "item_id", "time_ms"], how="anti").sort("time_ms")


def _finished(asks: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    known = pl.col("n_slots").is_not_null()
    found = (
        asks.filter(known)
        .group_by("search")
        .agg(
            is_nothing=((pl.col("n_slots") == 0) | pl.col("relaxed").is_not_null()).all(),
            is_shown=(pl.col("n_slots") > 0).any(),
            relaxed=pl.col("relaxed").drop_nulls().first(),
        )
    )
    came = (
        responses.sort("time_ms", maintain_order=True)
        .group_by("search")
        .agg(
            n_clicks=pl.col("item_id").n_unique(),
            first_rank=pl.col("rank").drop_nulls().first(),
            n_purchases=pl.col("item_id").filter(pl.col("is_purchase")).n_unique(),
        )
    )
    return (
        asks.group_by("search", maintain_order=True)
        .agg(pl.col("who", "person", "time_ms", "text", "key").first())
        .join(found, on="search", how="left", maintain_order="left")
        .join(came, on="search", how="left", maintain_order="left")
        .with_columns(pl.col("n_clicks", "n_purchases").fill_null(0))
    )
