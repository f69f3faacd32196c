"""What adapting the language model to a shop's words and judgments brings its search.

    python -m benchmarks.product_search --adapt --products products.parquet --judgments judgments.parquet

Queries are split 80/10/10 by a hash of their text into training, validation and test; ``--test FILE`` measures that
file's queries instead of the last tenth. Each model is measured alone, by exact cosine over all titles, and together
with BM25: BM25 scaled to the query's best plus twice the cosine, over the best 200 of both.
"""

from __future__ import annotations

import json
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

from aisle.contracts import Float32Array
from aisle.language.adapt_config import AdaptConfig
from aisle.language.adapters import UNMERGEABLE, merged
from aisle.language.adapting import learn
from aisle.language.contrast_pairs import TextPairs
from aisle.language.model_folder import open_model_folder
from aisle.language.retrieval_check import interval
from aisle.language.tower import TextTower, open_tower, place, save_tower
from benchmarks.result import Metrics, Run

MAX_TOKENS = 64
POSITIVE, BAD = 2.33, 1.34
"""Judged titles of at least the one answer a query, of at most the other do not."""
LEARNED = 2.0
"""Judged titles of at least this are learned as answers, each by its gain."""

SETTINGS: Mapping[str, Any] = {"contrast": {"hard_negatives": 48}}
"""What differs from the defaults: as many wrong titles as are known."""

Judgments = Mapping[str, Mapping[str, float]]
Int64Array = NDArray[np.int64]


def part_of(query: str) -> str:
    """``training``, ``validation`` or ``test``, by a hash of the query."""
    number = zlib.crc32(f"a3{query}".encode()) % 10
    return "test" if number == 9 else "validation" if number == 8 else "training"


def judged_pairs(judged: Judgments, titles: Mapping[str, str]) -> TextPairs:
    """Queries and the titles judged to answer them; titles judged not to are their known wrong ones."""
    queries, ids = list(judged), sorted({product for grades in judged.values() for product in grades})
    row_of = {product: row for row, product in enumerate(ids)}
    pairs = [
        (number, row_of[product], grade - 1.0)
        for number, query in enumerate(queries)
        for product, grade in judged[query].items()
        if grade >= LEARNED
    ]
    wrong = {
        number: np.array([row_of[product] for product, grade in judged[query].items() if grade <= BAD], dtype=np.int64)
        for number, query in enumerate(queries)
    }
    left, right = np.array([pair[:2] for pair in pairs], dtype=np.int64).T
    return TextPairs(
        queries,
        [titles[product] for product in ids],
        left,
        right,
        {one: rows for one, rows in wrong.items() if len(rows)},
        np.array([gain for *_, gain in pairs]),
        np.ones(len(queries), dtype=np.bool_),
    )


@dataclass(frozen=True)
class Search:
    """Titles to search, and judged queries to measure on."""

    ids: list[str]
    titles: list[str]
    judged: Judgments

    def among(self, n_others: int | None) -> Search:
        """The same over the judged titles and ``n_others`` drawn from the rest; None for all."""
        if n_others is None:
            return self
        wanted = {product for grades in self.judged.values() for product in grades}
        is_wanted = np.array([one in wanted for one in self.ids])
        drawn = np.random.default_rng(0).permutation(np.flatnonzero(~is_wanted))[:n_others]
        rows = np.union1d(np.flatnonzero(is_wanted), drawn).tolist()
        return Search([self.ids[row] for row in rows], [self.titles[row] for row in rows], self.judged)

    def gains(self, lists: Sequence[Int64Array]) -> list[float]:
        """ndcg@10 of each query's rows; see ``product_search.PROTOCOL``."""
        discount, gains = 1.0 / np.log2(np.arange(2, 12)), []
        for grades, rows in zip(self.judged.values(), lists, strict=True):
            got = np.array([grades.get(self.ids[row], 1.0) - 1.0 for row in rows[:10]])
            best = np.sort(np.array(list(grades.values())) - 1.0)[::-1][:10]
            ideal = float(best @ discount[: len(best)])
            gains.append(float(got @ discount[: len(got)]) / ideal if ideal > 0 else 0.0)
        return gains


def best_rows(asked: Float32Array, found: Float32Array, depth: int) -> list[Int64Array]:
    """Rows of ``found`` nearest to each of ``asked``, best first, ties by row."""
    lists: list[Int64Array] = []
    depth = min(depth, len(found))
    for start in range(0, len(asked), 64):
        cosines = asked[start : start + 64] @ found.T  # (64, n)
        near = np.argpartition(-cosines, depth - 1, axis=1)[:, :depth]
        for row, columns in enumerate(near):
            lists.append(columns[np.lexsort((columns, -cosines[row, columns]))])
    return lists


METHODS: Mapping[str, Mapping[str, Any]] = {
    "frozen": {},
    "masked": {"objectives": ("masked",)},
    "pieces": {"objectives": ("pieces",)},
    "contrast": {"objectives": ("contrast",)},
    "both": {"objectives": ("masked", "contrast")},
    "full": {"objectives": ("pieces", "contrast")},
    **{
        method: {
            "objectives": ("pieces", "contrast"),
            "adapter": {"method": method},
            "training": {"learning_rate": 1e-3},
        }
        for method in ("lora", "adalora", "prefix", "bottleneck")
    },
}
"""What is learned, in order, and by which weights; ``full`` is what ``aisle adapt`` does."""
PROTOCOL = (
    "the packaged MiniLM, adapted on the judged pairs of {n_training} queries (grade >= {learned} belongs, by "
    "grade - 1, <= {bad} is a known wrong title), masked words and pieces of all titles; measured on {n_test} "
    "other queries over {n_products} titles; ndcg@10 as in product_search; seeds {seeds}, settings {settings}; "
    "gain_low, gain_high: 90% interval of the gain over the frozen model over queries"
)


def measure(
    products: tuple[list[str], list[str]],
    judged: Judgments,
    test: Judgments | None,
    methods: Sequence[str],
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    run_of: Any,
    on: str = "test",
    n_others: int | None = None,
    keep: Path | None = None,
) -> tuple[Run, Metrics, dict[str, Metrics]]:
    """Figures of each method, ``full``, or the last named, as the system."""
    ids, titles = products
    title_of = dict(zip(ids, titles, strict=True))
    known = {
        query: {product: grade for product, grade in grades.items() if product in title_of}
        for query, grades in judged.items()
    }
    learned = judged_pairs({query: grades for query, grades in known.items() if part_of(query) == "training"}, title_of)
    measured = test or {query: grades for query, grades in known.items() if part_of(query) == on}
    search = Search(ids, titles, measured).among(n_others)
    run: Run = run_of(
        PROTOCOL.format(
            n_training=len(learned.lefts),
            learned=LEARNED,
            bad=BAD,
            n_test=len(measured),
            n_products=len(search.ids),
            seeds=list(seeds),
            settings=dict(settings),
        )
    )
    words = Words.of(search.titles, list(measured))
    by_words = [rows[:10] for rows in words.rows]
    found: dict[str, Metrics] = {"bm25s": {"ndcg@10": round(float(np.mean(search.gains(by_words))), 4)}}
    frozen: NDArray[np.float64] | None = None
    for method in dict.fromkeys(["frozen", *methods]):
        figures: list[dict[str, float]] = []
        for seed in seeds if METHODS[method] else seeds[:1]:
            own = METHODS[method]
            training = {"trackers": [], **settings.get("training", {}), **own.get("training", {}), "seed": seed}
            config = AdaptConfig.parse({**SETTINGS, **settings, **own, "training": training}, "adapt")
            made = adapted(learned, titles, config, keep / f"{method}-{seed}" if keep and own else None, bool(own))
            gains, both = alone_and_with_words(search, words, made.tower, made.tokenizer)
            frozen = gains if frozen is None else frozen
            low, high = interval(gains - frozen)
            figures.append(
                {
                    "ndcg@10": float(gains.mean()),
                    "ndcg@10_with_bm25": float(both.mean()),
                    "gain_low": low,
                    "gain_high": high,
                    "minutes": made.minutes,
                    "trained_parameters": float(made.n_learning),
                }
            )
            run.say(f"{method}, seed {seed}: {figures[-1]}")
        means = {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}
        spread = {"ndcg@10_sd": float(np.std([one["ndcg@10"] for one in figures], ddof=1))} if len(figures) > 1 else {}
        found[method] = {name: round(value, 4) for name, value in {**means, **spread}.items()}
    system = "full" if "full" in found else list(found)[-1]
    return run, found.pop(system), found


@dataclass(frozen=True)
class Made:
    """A model, how long it learned and how many of its numbers did."""

    tower: TextTower
    tokenizer: Any
    minutes: float = 0.0
    n_learning: int = 0


def adapted(pairs: TextPairs, titles: Sequence[str], config: AdaptConfig, kept: Path | None, is_taught: bool) -> Made:
    """The packaged model, taught or not; one that is ``kept`` there learns no more."""
    told = kept and kept / "told.json"
    if kept and told and told.is_file():
        return Made(*open_tower(open_model_folder(str(kept))), **json.loads(told.read_text()))
    folder = open_model_folder(None)
    tower, tokenizer = open_tower(folder)
    if not is_taught:
        return Made(tower, tokenizer)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as aside:
        work = kept.with_suffix(".work") if kept else Path(aside)
        n_learning = learn(tower, tokenizer, folder, pairs, titles, config, MAX_TOKENS, work)
    minutes = (time.monotonic() - started) / 60.0
    if kept and told and config.adapter.method not in UNMERGEABLE:
        tower.model = merged(tower.model)
        kept.mkdir(parents=True)
        save_tower(tower, folder, kept)
        told.write_text(json.dumps({"minutes": minutes, "n_learning": n_learning}))
    return Made(tower, tokenizer, minutes, n_learning)


@dataclass(frozen=True)
class Words:
    """What BM25 finds for each query, best first, with its scores."""

    rows: list[Int64Array]
    scores: list[Float32Array]

    @classmethod
    def of(cls, titles: Sequence[str], queries: Sequence[str], depth: int = 200) -> Words:
        """By bm25s with an English stemmer."""
        words = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
        bm25 = bm25s.BM25()
        bm25.index(bm25s.tokenize(list(titles), **words), show_progress=False)
        rows, scores = bm25.retrieve(
            bm25s.tokenize(list(queries), **words), k=min(depth, len(titles)), show_progress=False
        )
        return cls([row.astype(np.int64) for row in np.asarray(rows)], list(np.asarray(scores, dtype=np.float32)))


def alone_and_with_words(
    search: Search, words: Words, tower: TextTower, tokenizer: Any, depth: int = 200
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ndcg@10 of each query by the model alone, and together with BM25."""
    tower.eval()
    found, asked = (place(tower, tokenizer, texts, MAX_TOKENS) for texts in (search.titles, list(search.judged)))
    near = best_rows(asked, found, depth)
    together: list[Int64Array] = []
    for number, rows in enumerate(near):
        both = np.union1d(rows, words.rows[number])
        score = 2.0 * (found[both] @ asked[number])
        best = max(float(words.scores[number].max()), 1e-9)
        score[np.searchsorted(both, words.rows[number])] += words.scores[number] / best
        together.append(both[np.lexsort((both, -score))][:10])
    return np.array(search.gains(near)), np.array(search.gains(together))
