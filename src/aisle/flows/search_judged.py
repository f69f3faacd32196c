"""The shop's search held against graded judgments: figures, and the worst queries beside their ideal lists.

Enters: a table of query, item and grade. Leaves: ``JudgedReport``. Items that nobody judged count as worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.contracts import Progress
from aisle.domain import NO_VALUE
from aisle.errors import ConfigError, DataError
from aisle.evaluation import ranking_metrics
from aisle.evaluation.intervals import mean_interval
from aisle.evaluation.search_report import Figures, JudgedReport, Listed, SideBySide
from aisle.evaluation.targets import RowLists, Targets, judge, padded
from aisle.flows.query_classes import CLASSES, LANGUAGES, QueryKind
from aisle.flows.quiet import lists_of
from aisle.flows.stages import Stages

COLUMNS = ("query", "item", "grade")
DEPTH, SHOWN = 100, 10
KindOf = Callable[[str], QueryKind]


@dataclass(frozen=True)
class Judgments:
    """Grades of items by query; ``rows`` has ``query``, ``item``, ``grade`` (0 and up), no pair twice.

    An item is relevant, for recall, from the grade ``relevant_from`` on.
    """

    source: str
    rows: pl.DataFrame
    relevant_from: float = 1.0


def read_judgments(path: Path, *, relevant_from: float = 1.0) -> Judgments:
    """Judgments from a CSV, TSV or Parquet file, by its ending, with the columns ``query``, ``item`` and ``grade``.

    Raises:
        ConfigError: the file is not there or cannot be read.
        DataError: a column is missing; a cell is empty, a grade no number or below 0, a pair given twice. Row 1 is the
            first below the header.
    """
    source = path.name
    try:
        if path.suffix.lower() == ".parquet":
            table = pl.read_parquet(path)
        else:
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            table = pl.read_csv(path, separator=separator, infer_schema=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{source} is no table: {first}", source=source) from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        had = ", ".join(table.columns)
        raise DataError(
            f"{source} has no column {missing[0]!r}; it needs query, item and grade, and has {had}",
            source=source,
            field=missing[0],
        )
    rows = table.select(pl.col("query", "item").cast(pl.String), pl.col("grade").alias("written"))
    rows = rows.with_columns(grade=pl.col("written").cast(pl.Float64, strict=False))
    _refuse(rows, source)
    return Judgments(source, rows.select(COLUMNS), relevant_from)


def _refuse(rows: pl.DataFrame, source: str) -> None:
    if not rows.height:
        raise DataError(f"{source} has no rows", source=source)
    empty = pl.lit("is empty")
    is_twice = pl.struct("query", "item").is_first_distinct().not_()
    wrongs = (
        ("query", pl.col("query").fill_null("").str.strip_chars() == "", empty),
        ("item", pl.col("item").fill_null("").str.strip_chars() == "", empty),
        (
            "grade",
            ~(pl.col("grade").is_finite() & (pl.col("grade") >= 0)).fill_null(value=False),
            pl.format("is {}; allowed are numbers from 0", pl.col("written").cast(pl.String).fill_null("empty")),
        ),
        ("item", is_twice, pl.format("{} is judged twice for the query {}", "item", "query")),
    )
    for name, is_wrong, why in wrongs:
        found = rows.select(is_wrong=is_wrong, why=why).with_row_index("row", 1).filter("is_wrong")
        if found.height:
            row, _, said = found.row(0)
            more = f" ({found.height - 1:,} more rows like it)" if found.height > 1 else ""
            raise DataError(f"{source}, row {row}, column {name}: {said}{more}", source=source, row=row, field=name)


@dataclass(frozen=True)
class Asked:
    """Judged queries with what is right for each; ``n_unknown``: judgments of items that the shop does not have."""

    texts: Sequence[str]
    targets: Targets
    n_unknown: int

    @classmethod
    def of(cls, judgments: Judgments, stages: Stages) -> Asked:
        """Queries in alphabetical order. Raises ``DataError`` when the shop has none of the judged items."""
        item_rows = stages.catalogue.rows(judgments.rows["item"].to_list())
        rows = judgments.rows.with_columns(item_row=pl.Series(item_rows, dtype=pl.Int64))
        known = rows.filter(pl.col("item_row") != NO_VALUE).sort("query", "item_row")
        if not known.height:
            raise DataError(
                f"{judgments.source}: none of the {rows.height:,} judged items is in this shop; the column item holds "
                f"item ids, such as {stages.catalogue.item_ids[0]!r}",
                source=judgments.source,
                field="item",
            )
        texts = known["query"].unique().sort()
        owners = known["query"].rank("dense").to_numpy().astype(np.int64) - 1
        items = RowLists.of_sorted(owners, known["item_row"].to_numpy(), len(texts))
        targets = Targets(items, known["grade"].to_numpy(), judgments.relevant_from)
        return cls(texts.to_list(), targets, rows.height - known.height)

    def ndcg(self, ranked: NDArray[np.int64]) -> NDArray[np.float64]:
        """ndcg@10 with the grade as gain, of ``ranked`` (n, k) item rows. (n,)"""
        return ranking_metrics.ndcg(judge(ranked, self.targets), 10, ranking_metrics.linear_gain)

    def recall(self, ranked: NDArray[np.int64]) -> NDArray[np.float64]:
        """recall@100. (n,)"""
        return ranking_metrics.recall(judge(ranked, self.targets), DEPTH)

    def grades(self, place: int) -> Mapping[int, float]:
        """Grades of one query by item row."""
        first, last = self.targets.items.offsets[place : place + 2]
        rows = self.targets.items.rows[first:last].tolist()
        return dict(zip(rows, self.targets.grades[first:last].tolist(), strict=True))


def read_judged(
    judgments: Judgments, stages: Stages, kinds: KindOf, n_worst: int, seed: int, progress: Progress
) -> JudgedReport:
    """Figures with bootstrap intervals over queries, and the worst by ndcg@10."""
    asked = Asked.of(judgments, stages)
    lists = lists_of(asked.texts, DEPTH, stages, progress, "ask judged queries")
    ranked = padded([stages.catalogue.rows(item_ids) for item_ids in lists], DEPTH)
    values = {"ndcg@10": asked.ndcg(ranked), "recall@100": asked.recall(ranked)}
    of_texts = [kinds(text) for text in asked.texts]
    order = np.lexsort((np.arange(len(asked.texts)), np.nan_to_num(values["ndcg@10"], nan=np.inf)))
    worst = []
    first: list[int] = order[:n_worst].tolist()
    for place in first:
        figures = {name: float(of_query[place]) for name, of_query in values.items()}
        if not figures["ndcg@10"] < 1.0:
            break
        grades = asked.grades(place)
        best = sorted(grades, key=lambda row: (-grades[row], row))[:SHOWN]
        worst.append(
            SideBySide(
                asked.texts[place],
                of_texts[place].query_class,
                1.0,
                titled(lists[place][:SHOWN], stages, grades),
                titled(stages.catalogue.ids([row for row in best if grades[row] > 0]), stages, grades),
                figures,
            )
        )
    return JudgedReport(
        source=judgments.source,
        n_queries=len(asked.texts),
        n_judgments=judgments.rows.height,
        n_unknown_items=asked.n_unknown,
        relevant_from=judgments.relevant_from,
        overall=figures_of("all", values, seed),
        groups=grouped(values, of_texts, seed),
        worst=tuple(worst),
    )


def figures_of(group: str, values: Mapping[str, NDArray[np.float64]], seed: int) -> Figures:
    """Means over queries with bootstrap intervals."""
    n = len(next(iter(values.values())))
    means = {name: mean_interval(of_queries, np.random.default_rng(seed)) for name, of_queries in values.items()}
    return Figures(group, n, n, 0, means)


def grouped(
    values: Mapping[str, NDArray[np.float64]], kinds: Sequence[QueryKind], seed: int
) -> Mapping[str, tuple[Figures, ...]]:
    """``figures_of`` each class, language and number of words."""
    found: dict[str, tuple[Figures, ...]] = {}
    for name, known in (("query_class", CLASSES), ("language", LANGUAGES), ("n_words", None)):
        of_query = np.array([kind.groups[name] for kind in kinds])
        order = [group for group in known if group in of_query] if known else sorted(set(of_query.tolist()))
        found[name] = tuple(
            figures_of(group, {key: column[of_query == group] for key, column in values.items()}, seed)
            for group in order
        )
    return found


def titled(item_ids: Sequence[str], stages: Stages, grades: Mapping[int, float] | None = None) -> tuple[Listed, ...]:
    """Items with titles, and grades where there are judgments."""
    titles = {item.item_id: item.title for item in stages.records.read_items(item_ids)}
    rows = stages.catalogue.rows(item_ids).tolist()
    return tuple(
        Listed(item_id, titles.get(item_id, item_id), grades.get(row) if grades else None)
        for item_id, row in zip(item_ids, rows, strict=True)
    )
