"""Runs systems over the cases of a split and compares them.

Enters: named systems and a split. Leaves: a ``Report``. A system is any callable; what it is made of stays outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aisle.domain import Snapshot
from aisle.errors import ConfigError, ContractError, DataError, unknown_name
from aisle.evaluation import list_metrics, ranking_metrics
from aisle.evaluation.cases import Cases, Split
from aisle.evaluation.intervals import Interval, Method, intervals_of, resampled_means
from aisle.evaluation.ranking_metrics import Gain
from aisle.evaluation.report import NO_LABEL, Difference, GroupResult, Report, SystemResult
from aisle.evaluation.targets import Judged, Targets, judge

Values = NDArray[np.float64]
Table = Mapping[str, Values]
"""By metric, one value a case."""
Labels = Sequence[str | None]


class System(Protocol):
    """Anything that ranks items."""

    def __call__(self, cases: Cases, n: int) -> NDArray[np.integer]:
        """Item rows for each case, best first, no item twice: (n_cases, up to n), padded with -1."""
        ...


@dataclass(frozen=True)
class ListFacts:
    """What list metrics need to know of the items; parts that are not given leave their metric out.

    ``categories`` (n_items,) one code an item, negative for none; ``vectors`` (n_items, d) unit rows.
    """

    categories: NDArray[np.integer] | None = None
    vectors: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class _Ground:
    """What every system is measured against."""

    cases: Cases
    n_items: int
    n_users: int
    n_known: NDArray[np.int64]
    cutoffs: tuple[int, ...]
    gain: Gain | None
    facts: ListFacts


@dataclass(frozen=True)
class _Sampling:
    level: float
    n_resamples: int
    method: Method
    seed: int

    def intervals(self, tables: Mapping[str, Table]) -> dict[str, dict[str, Interval]]:
        """Interval by system and metric; all are drawn together, which is quick and pairs the systems."""
        rows = [(name, metric) for name, table in tables.items() for metric in table]
        if not rows:
            return {}
        stacked = np.stack([tables[name][metric] for name, metric in rows])  # (systems x metrics, n_cases)
        drawn = resampled_means(stacked, np.random.default_rng(self.seed), self.n_resamples)
        found: dict[str, dict[str, Interval]] = {name: {} for name in tables}
        told = intervals_of(stacked, drawn, level=self.level, method=self.method)
        for (name, metric), interval in zip(rows, told, strict=True):
            found[name][metric] = interval
        return found


def compare(
    systems: Mapping[str, System],
    split: Split,
    *,
    rng: np.random.Generator,
    cutoffs: Sequence[int] = (10,),
    baseline: str | None = None,
    user_groups: Mapping[str, Labels] | None = None,
    item_groups: Mapping[str, Labels] | None = None,
    gain: Gain | None = None,
    facts: ListFacts | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    method: Method = "bca",
    seconds_now: Callable[[], float] | None = None,
    title: str = "Evaluation",
    notes: Sequence[str] = (),
) -> Report:
    """Ask every system the cases of ``split`` and report how they did.

    Args:
        systems: by name, in the order to show them.
        split: what to learn from and what is asked; the systems are expected to know ``split.train`` only.
        rng: draws the intervals; its seed is written into the report.
        cutoffs: places to measure at; the largest is what systems are asked for, and where the metrics of what lists
            are like (coverage, diversity, novelty) are taken.
        baseline: the system others are compared with; None takes the first.
        user_groups: by grouping name, a label for each user row of the snapshot.
        item_groups: by grouping name, a label for each item row; figures then count only targets of the group.
        gain: turns grades into gains for ndcg; None treats targets as relevant or not.
        facts: categories or vectors of the items, for diversity.
        level: share of repetitions an interval should cover.
        n_resamples: bootstrap draws; raising it steadies the intervals' ends and costs time.
        method: ``bca`` corrects for bias and skewness, ``percentile`` does not.
        seconds_now: a clock such as ``time.perf_counter``; with it the report has the time each system took.
        title: heads the report.
        notes: sentences the reader must know (what was fitted on what, what was removed).

    Raises:
        ConfigError: no systems, an unknown baseline, or a cut-off below 1.
        ContractError: a system's lists have a wrong shape, a repeated or an unknown item.
    """
    names = list(systems)
    if not names or min(cutoffs, default=0) < 1:
        raise ConfigError(f"compare needs at least one system and cut-offs from 1 on; got {names} and {list(cutoffs)}")
    baseline = names[0] if baseline is None else baseline
    if baseline not in systems:
        raise ConfigError(unknown_name("baseline", baseline, names), setting="baseline")
    ground = _Ground(
        cases=split.cases,
        n_items=split.train.n_items,
        n_users=split.train.n_users,
        n_known=_users_by_item(split.train),
        cutoffs=tuple(sorted(set(cutoffs))),
        gain=gain,
        facts=facts or ListFacts(),
    )
    seed = int(rng.integers(2**32))
    sampling = _Sampling(level, n_resamples, method, seed)
    answers: dict[str, NDArray[np.int64]] = {}
    seconds: dict[str, float | None] = {}
    for name, system in systems.items():
        started = seconds_now() if seconds_now else 0.0
        answers[name] = _checked(name, system(split.cases, ground.cutoffs[-1]), ground)
        seconds[name] = seconds_now() - started if seconds_now else None
    tables = {name: _per_case(name, ranked, ground.cases.targets, ground) for name, ranked in answers.items()}
    intervals = sampling.intervals(tables)
    results = [
        SystemResult(
            name=name,
            metrics=intervals[name],
            totals=_totals(ranked, ground),
            n_answered=int((ranked >= 0).any(axis=1).sum()),
            seconds=seconds[name],
        )
        for name, ranked in answers.items()
    ]
    groups = _user_groups(tables, user_groups or {}, ground, sampling)
    groups += _item_groups(answers, item_groups or {}, ground, sampling)
    return Report(
        title=title,
        protocol=split.protocol,
        notes=tuple(notes),
        n_cases=len(split.cases),
        n_items=ground.n_items,
        n_train_interactions=split.train.interactions.height,
        cutoffs=ground.cutoffs,
        level=level,
        n_resamples=n_resamples,
        method=method,
        seed=_seed_of(rng),
        baseline=baseline,
        main_metric=f"ndcg@{ground.cutoffs[-1]}",
        systems=tuple(results),
        differences=_differences(tables, baseline, sampling),
        groups=tuple(groups),
    )


def _checked(name: str, ranked: NDArray[np.integer], ground: _Ground) -> NDArray[np.int64]:
    if not np.issubdtype(ranked.dtype, np.integer) or ranked.ndim != 2 or len(ranked) != len(ground.cases):
        raise ContractError(
            f"system {name!r} gave an array of shape {ranked.shape} and type {ranked.dtype}; "
            f"wanted ({len(ground.cases)}, up to {ground.cutoffs[-1]}) integers, one list a case"
        )
    if ranked.size and (ranked.max() >= ground.n_items or ranked.min() < -1):
        raise ContractError(
            f"system {name!r} ranks item rows from {ranked.min()} to {ranked.max()}; "
            f"allowed are 0 to {ground.n_items - 1}, and -1 after a list's end"
        )
    return ranked[:, : ground.cutoffs[-1]].astype(np.int64)


def _per_case(name: str, ranked: NDArray[np.int64], targets: Targets, ground: _Ground) -> dict[str, Values]:
    try:
        judged = judge(ranked, targets)
    except DataError as error:
        raise ContractError(f"the lists of system {name!r} cannot be judged: {error}") from error
    table: dict[str, Values] = {}
    has_several = bool((judged.n_relevant > 1).any())
    for cutoff in ground.cutoffs:
        table[f"recall@{cutoff}"] = ranking_metrics.recall(judged, cutoff)
        table[f"ndcg@{cutoff}"] = ranking_metrics.ndcg(judged, cutoff, ground.gain)
        table[f"mrr@{cutoff}"] = ranking_metrics.reciprocal_rank(judged, cutoff)
        if has_several:  # with one target a case, these say what recall and mrr say
            table[f"map@{cutoff}"] = ranking_metrics.average_precision(judged, cutoff)
            table[f"precision@{cutoff}"] = ranking_metrics.precision(judged, cutoff)
            table[f"hit_rate@{cutoff}"] = ranking_metrics.hit_rate(judged, cutoff)
    table["mean_rank"] = ranking_metrics.mean_rank(judged, ground.n_items)
    longest = ground.cutoffs[-1]
    popular = np.zeros(ground.n_items, dtype=np.bool_)
    popular[np.argsort(-ground.n_known, kind="stable")[:longest]] = True
    table[f"novelty@{longest}"] = list_metrics.novelty(ranked, ground.n_known, ground.n_users, longest)
    table[f"serendipity@{longest}"] = list_metrics.serendipity(judged, ranked, popular, longest)
    facts = ground.facts
    if facts.categories is not None:
        table[f"category_diversity@{longest}"] = list_metrics.category_diversity(ranked, facts.categories, longest)
    if facts.vectors is not None:
        table[f"vector_diversity@{longest}"] = list_metrics.vector_diversity(ranked, facts.vectors, longest)
    return table


def _totals(ranked: NDArray[np.int64], ground: _Ground) -> dict[str, float]:
    longest = ground.cutoffs[-1]
    return {
        f"coverage@{longest}": list_metrics.coverage(ranked, ground.n_items, longest),
        f"gini@{longest}": list_metrics.exposure_gini(ranked, ground.n_items, longest),
    }


def _differences(tables: Mapping[str, Table], baseline: str, sampling: _Sampling) -> tuple[Difference, ...]:
    apart = {
        name: {metric: values - tables[baseline][metric] for metric, values in table.items()}
        for name, table in tables.items()
        if name != baseline
    }
    return tuple(
        Difference(name, metric, interval)
        for name, intervals in sampling.intervals(apart).items()
        for metric, interval in intervals.items()
    )


def _user_groups(
    tables: Mapping[str, Table], groupings: Mapping[str, Labels], ground: _Ground, sampling: _Sampling
) -> list[GroupResult]:
    found: list[GroupResult] = []
    rows = ground.cases.user_rows
    for grouping, labels in groupings.items():
        _require_length(grouping, labels, ground.n_users, "user")
        names = np.array([NO_LABEL if row < 0 else labels[row] or NO_LABEL for row in rows], dtype=object)
        for group in sorted(set(names.tolist())):
            is_in = names == group
            part = {name: {metric: values[is_in] for metric, values in table.items()} for name, table in tables.items()}
            n_cases = int(is_in.sum())
            for name, intervals in sampling.intervals(part).items():
                found.append(GroupResult(name, grouping, group, n_cases, intervals))
    return found


def _item_groups(
    answers: Mapping[str, NDArray[np.int64]],
    groupings: Mapping[str, Labels],
    ground: _Ground,
    sampling: _Sampling,
) -> list[GroupResult]:
    found: list[GroupResult] = []
    targets = ground.cases.targets
    longest = ground.cutoffs[-1]
    shown = {name: list_metrics.exposure(ranked, ground.n_items, longest) for name, ranked in answers.items()}
    for grouping, labels in groupings.items():
        _require_length(grouping, labels, ground.n_items, "item")
        names = np.array([label or NO_LABEL for label in labels], dtype=object)
        for group in sorted(set(names.tolist())):
            is_in = names == group
            mine = targets.keep(is_in[targets.items.rows])
            part = {name: _found_of(judge(ranked, mine), ground.cutoffs) for name, ranked in answers.items()}
            n_cases = int((mine.n_relevant > 0).sum())
            for name, intervals in sampling.intervals(part).items():
                places = shown[name]
                exposure = float(places[is_in].sum() / places.sum()) if places.sum() else float("nan")
                found.append(GroupResult(name, grouping, group, n_cases, intervals, exposure))
    return found


def _found_of(judged: Judged, cutoffs: Sequence[int]) -> dict[str, Values]:
    """What can be said of a group of items: whether its targets are found, and how high."""
    table: dict[str, Values] = {}
    for cutoff in cutoffs:
        table[f"recall@{cutoff}"] = ranking_metrics.recall(judged, cutoff)
        table[f"mrr@{cutoff}"] = ranking_metrics.reciprocal_rank(judged, cutoff)
    return table


def _require_length(grouping: str, labels: Labels, n: int, what: str) -> None:
    if len(labels) != n:
        raise DataError(f"grouping {grouping!r} has {len(labels)} labels; wanted one for each of {n} {what} rows")


def _users_by_item(train: Snapshot) -> NDArray[np.int64]:
    pairs = train.interactions.select("user_row", "item_row").unique()
    return np.bincount(pairs["item_row"].to_numpy(), minlength=train.n_items)


def _seed_of(rng: np.random.Generator) -> int | None:
    """The number ``rng`` was seeded with, where it was seeded with one."""
    entropy = getattr(rng.bit_generator.seed_seq, "entropy", None)
    return entropy if isinstance(entropy, int) else None
