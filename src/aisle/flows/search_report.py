"""Look at the quality of a shop's search: its own log, judged queries, and what another version would change.

Enters: records, the parts in service, a plan. Leaves: ``SearchReport``. Nothing is written down, promoted or changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from aisle.contracts import Progress
from aisle.domain import Snapshot
from aisle.errors import NotReadyError
from aisle.evaluation.clustered import clustered_mean, clustered_share, wilson
from aisle.evaluation.search_report import (
    GROUPINGS,
    LOG_FIGURES,
    Advice,
    Figures,
    LogReport,
    SearchReport,
    WorstQuery,
)
from aisle.flows.query_classes import CLASSES, LANGUAGES, QueryKind, is_same_errand, kind_of
from aisle.flows.rule_mining import MiningConfig, differing_words, mine_synonyms, synonym_rule
from aisle.flows.search_changes import Change, read_changes
from aisle.flows.search_judged import Judgments, read_judged
from aisle.flows.search_log import SearchLog, read_log
from aisle.flows.stages import Stages
from aisle.merchandising.phrases import tokens
from aisle.wire.rules import QueryRule, Synonyms

DAY_MS = 86_400_000
LEVEL = 0.95
REWORDED_MS = 5 * 60_000
"""A search so soon after one without a click, for the same errand, puts it in other words."""
VOLUMES = ("head", "torso", "tail")
NOVELTIES = ("new", "known")
_SHARES = ("nothing", "rescued", "empty", "clicked", "reworded")
_LEAST = {"first_rank": 1.0, "purchases": 0.0}
_LEAST_WRONG = {"zero_results": 1, "low_clicks": 2, "reworded": 2}
"""Searches that must have gone wrong before a query stands in a table; a single rewording is anybody's whim."""
_PEOPLE_FOR_ADVICE = 2
"""A rule is never proposed for what a single person did."""


@dataclass(frozen=True)
class SearchReportPlan:
    """What to look at. Raising ``least_people`` shows fewer queries and tells less of anybody; all are counted."""

    days: int = 30
    n_worst: int = 20
    """Rows of each table of the worst."""
    least_people: int = 1
    """Queries that fewer people typed stand in no table. Whoever is not known counts, all together, as one."""
    judgments: Judgments | None = None
    n_sampled: int = 300
    """Logged searches drawn to compare versions on, where there are no judgments."""
    seed: int = 0


def search_report(
    shop: str,
    snapshot: Callable[[], Snapshot],
    stages: Stages,
    plan: SearchReportPlan,
    progress: Progress,
    change: Change | None = None,
) -> SearchReport:
    """Everything that ``plan`` asks for; ``change`` is the lineup to hold beside the one in service.

    Raises:
        NotReadyError: versions are to be compared, and there are neither judgments nor searches.
        DataError: none of the judged items is in the shop.
    """
    now_ms = stages.clock()
    kinds = _Kinds(stages)
    taken = snapshot()
    log = read_log(stages.records, taken, now_ms - plan.days * DAY_MS, now_ms, progress)
    notes: list[str] = []
    of_log = None
    if log.searches.height:
        of_log = _of_log(log, taken, stages, kinds, plan, now_ms, progress)
    else:
        notes.append("no-searches")
    if log.is_cut:
        notes.append("log-cut")
    if log.searches.height and not log.searches["is_nothing"].is_not_null().any():
        notes.append("lists-unknown")
    judged = None
    if plan.judgments is not None:
        judged = read_judged(plan.judgments, stages, kinds, plan.n_worst, plan.seed, progress)
    of_change = None
    if change is not None:
        weights = _asked(log, plan)
        if plan.judgments is None and not weights:
            raise NotReadyError(
                f"nobody searched in the last {plan.days} days, so there is nothing to compare versions on; give "
                "judged queries with --judgments, or more --days",
                command="aisle search-report",
            )
        of_change = read_changes(change, stages, plan.judgments, weights, kinds, plan.n_worst, plan.seed, progress)
    return SearchReport(shop, now_ms, LEVEL, tuple(notes), of_log, judged, of_change)


class _Kinds:
    """Kinds of queries, each looked at once."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._known: dict[str, QueryKind] = {}

    def __call__(self, text: str) -> QueryKind:
        if text not in self._known:
            self._known[text] = kind_of(text, self._stages.lineup.in_service, self._stages.catalogue)
        return self._known[text]


def _asked(log: SearchLog, plan: SearchReportPlan) -> Mapping[str, float]:
    """A sample of the searches, by text with how often it was drawn: means over draws are means over searches."""
    people = _people(log.searches)
    shown = log.searches.join(people.filter(pl.col("n_people") >= plan.least_people), on="key", how="semi")
    if not shown.height:
        return {}
    texts = shown.join(people.select("key", commonest="text"), on="key")["commonest"].to_list()
    if len(texts) <= plan.n_sampled:
        return Counter(texts)
    rng = np.random.default_rng(plan.seed)
    return Counter(texts[place] for place in rng.choice(len(texts), plan.n_sampled, replace=False).tolist())


def _of_log(
    log: SearchLog,
    snapshot: Snapshot,
    stages: Stages,
    kinds: Callable[[str], QueryKind],
    plan: SearchReportPlan,
    now_ms: int,
    progress: Progress,
) -> LogReport:
    people = _people(log.searches)
    text_of = dict(people.select("key", "text").iter_rows())
    kind_by_key: dict[str, QueryKind] = {}
    for done, (key, text) in enumerate(text_of.items()):
        kind_by_key[key] = kinds(text)
        if done % 100 == 0:
            progress("read queries", done, len(text_of))
    progress("read queries", len(text_of), len(text_of))
    searches = _with_groups(_with_rewordings(log.searches, kind_by_key), log, kind_by_key)
    groups = {name: _groups(searches, name) for name in GROUPINGS if searches[name].is_not_null().any()}
    shown = searches.join(people.filter(pl.col("n_people") >= plan.least_people), on="key", suffix="_of_key")
    advice = _Advice(snapshot, stages, plan)
    shown_texts = {key: text_of[key] for key in shown["key"].unique().to_list()}
    worst = {
        name: _worst(shown, name, plan.n_worst, shown_texts, advice)
        for name in ("zero_results", "low_clicks", "reworded")
    }
    return LogReport(
        since_ms=now_ms - plan.days * DAY_MS,
        until_ms=now_ms,
        overall=_figures("all", searches),
        groups=groups,
        n_hidden=people.filter(pl.col("n_people") < plan.least_people).height,
        least_people=plan.least_people,
        **worst,
    )


def _people(searches: pl.DataFrame) -> pl.DataFrame:
    """By ``key``: its commonest ``text``, and ``n_people``; all whom nobody knows are one."""
    return searches.group_by("key", maintain_order=True).agg(
        text=pl.col("text").sort().mode().sort().first(), n_people=pl.col("who").n_unique()
    )


def _with_rewordings(searches: pl.DataFrame, kinds: Mapping[str, QueryKind]) -> pl.DataFrame:
    """``is_reworded`` (null for whom nobody knows), the ``next_key``, and whether there anything was ``next_clicked``.

    The next search of the same person within ``REWORDED_MS``, nothing having been clicked, for the same errand.
    """
    following = searches.sort("time_ms", "search").with_columns(
        next_key=pl.col("key").shift(-1).over("person"),
        next_ms=pl.col("time_ms").shift(-1).over("person"),
        next_clicked=pl.col("n_clicks").shift(-1).over("person") > 0,
    )
    is_soon = (
        (following["next_ms"] - following["time_ms"] <= REWORDED_MS)
        & (following["n_clicks"] == 0)
        & (following["next_key"] != following["key"])
    ).fill_null(value=False)
    pairs = zip(following["key"].to_list(), following["next_key"].to_list(), is_soon.to_list(), strict=True)
    reworded = [is_near and is_same_errand(kinds[key], kinds[other]) for key, other, is_near in pairs]
    told = pl.when(pl.col("who").is_not_null()).then(pl.Series("is_reworded", reworded, dtype=pl.Boolean))
    return following.with_columns(is_reworded=told).drop("next_ms")


def _with_groups(searches: pl.DataFrame, log: SearchLog, kinds: Mapping[str, QueryKind]) -> pl.DataFrame:
    """A column a grouping, with the group of each search; null where it cannot be known."""
    of_key: dict[str, list[str | None]] = {"key": list(kinds)}
    for name in ("query_class", "language", "n_words"):
        of_key[name] = [kind.groups[name] for kind in kinds.values()]
    earlier = log.earlier
    of_key["novelty"] = [None if earlier is None else "known" if key in earlier else "new" for key in kinds]
    schema = dict.fromkeys(of_key, pl.String)
    counts = searches.group_by("key").agg(n=pl.len()).sort("n", "key", descending=[True, False])
    before = (pl.col("n").cum_sum() - pl.col("n")) / pl.col("n").sum()
    volume = pl.when((pl.col("n") == 1) | (before >= 2 / 3)).then(pl.lit("tail"))
    volume = volume.when(before >= 1 / 3).then(pl.lit("torso")).otherwise(pl.lit("head"))
    counts = counts.with_columns(volume=volume).select("key", "volume")
    return searches.join(pl.DataFrame(of_key, schema=schema), on="key").join(counts, on="key")


_ORDERS: Mapping[str, Sequence[str]] = {
    "query_class": CLASSES, "language": LANGUAGES, "volume": VOLUMES, "novelty": NOVELTIES
}  # fmt: skip


def _groups(searches: pl.DataFrame, name: str) -> tuple[Figures, ...]:
    found = searches[name].drop_nulls().unique().to_list()
    order = [group for group in _ORDERS[name] if group in found] if name in _ORDERS else sorted(found)
    return tuple(_figures(group, searches.filter(pl.col(name) == group)) for group in order)


def _figures(group: str, searches: pl.DataFrame) -> Figures:
    table = searches.select(
        nothing=pl.col("is_nothing"),
        rescued=pl.col("is_nothing") & pl.col("is_shown"),
        empty=pl.col("is_nothing") & ~pl.col("is_shown"),
        clicked=pl.col("n_clicks") > 0,
        first_rank=pl.col("first_rank"),
        purchases=pl.col("n_purchases"),
        reworded=pl.col("is_reworded"),
    ).cast(pl.Float64)
    owners = searches["person"].rank("dense").to_numpy()
    values = {}
    for name in LOG_FIGURES:
        column = table[name].fill_null(float("nan")).to_numpy()
        if name in _SHARES:
            values[name] = clustered_share(column, owners, level=LEVEL)
        else:
            found = clustered_mean(column, owners, level=LEVEL)
            values[name] = replace(found, low=max(found.low, _LEAST[name])) if found.low == found.low else found
    return Figures(group, searches.height, searches["key"].n_unique(), searches["person"].n_unique(), values)


def _worst(
    shown: pl.DataFrame, table: str, most: int, text_of: Mapping[str, str], advice: _Advice
) -> tuple[WorstQuery, ...]:
    """Queries by the searches that are surely lost to them, the most first."""
    wrong = {
        "zero_results": pl.col("is_nothing"),
        "low_clicks": pl.when(pl.col("is_nothing").fill_null(value=False))
        .then(None)
        .otherwise(pl.col("n_clicks") == 0),
        "reworded": pl.col("is_reworded"),
    }[table]
    rows = shown.with_columns(wrong=wrong.cast(pl.Float64)).filter(pl.col("wrong").is_not_null())
    if not rows.height:
        return ()
    usual = float(rows["wrong"].sum()) / rows.height if table == "low_clicks" else 0.0
    by_key = rows.group_by("key", maintain_order=True).agg(
        pl.len().alias("n"),
        pl.col("wrong").mean(),
        pl.col("who").n_unique().alias("n_people"),
        pl.col("query_class").first(),
    )
    found: list[tuple[float, str, WorstQuery]] = []
    for key, n, share, n_people, query_class in by_key.filter(
        pl.col("wrong") * pl.col("n") > _LEAST_WRONG[table] - 0.5
    ).iter_rows():
        interval = wilson(share, n, level=LEVEL)
        weight = n * (interval.low - usual)
        if weight > 0:
            found.append((-weight, key, WorstQuery(text_of[key], n, n_people, interval, weight, query_class)))
    worst = sorted(found, key=lambda one: one[:2])[:most]
    return tuple(advice.told(table, one, rows.filter(pl.col("key") == key), text_of) for _, key, one in worst)


class _Advice:
    """Says what became of searches, and which query rule may help."""

    def __init__(self, snapshot: Snapshot, stages: Stages, plan: SearchReportPlan) -> None:
        self._least = max(_PEOPLE_FOR_ADVICE, plan.least_people)
        least = max(MiningConfig().least_people, plan.least_people)
        mined = mine_synonyms(snapshot, stages.records, MiningConfig(least_people=least))
        self._mined = [one.rule for one in mined]

    def told(self, table: str, one: WorstQuery, rows: pl.DataFrame, text_of: Mapping[str, str]) -> WorstQuery:
        """``one`` with what people did next, or how it was relaxed."""
        next_key, n_next, advice = self._next(one.text, rows, text_of)
        if table == "zero_results" and next_key is None:
            how = rows["relaxed"].drop_nulls().mode().sort()
            return replace(one, became=f"relaxed:{how[0]}" if len(how) else None, advice=self._by_clicks(one.text))
        became = None if next_key is None else text_of[next_key]
        return replace(one, became=became, n_became=n_next, advice=advice or self._by_clicks(one.text))

    def _next(self, text: str, rows: pl.DataFrame, text_of: Mapping[str, str]) -> tuple[str | None, int, Advice | None]:
        nexts = (
            rows.filter(pl.col("is_reworded"), pl.col("next_key").is_in(list(text_of)))
            .group_by("next_key")
            .agg(n=pl.len(), n_people=pl.col("who").filter(pl.col("next_clicked")).n_unique())
            .sort("n", "next_key", descending=[True, False])
        )
        if not nexts.height:
            return None, 0, None
        key, n, n_people = nexts.row(0)
        words = differing_words(text, text_of[key]) if n_people >= self._least else None
        return key, n, None if words is None else _advised(synonym_rule(words), n_people)

    def _by_clicks(self, text: str) -> Advice | None:
        """A mined rule about words of this query, the strongest."""
        said = f" {' '.join(token.word for token in tokens(text)[1])} "
        for rule in self._mined:
            if isinstance(rule.action, Synonyms):
                for phrase in rule.action.words:
                    if f" {' '.join(token.word for token in tokens(phrase)[1])} " in said:
                        return _advised(rule, 0)
        return None


def _advised(rule: QueryRule, n_people: int) -> Advice:
    words = " = ".join(rule.action.words) if isinstance(rule.action, Synonyms) else rule.id
    return Advice(rule.model_dump(mode="json", exclude_defaults=True), words, n_people)
