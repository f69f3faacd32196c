"""Does search find what people judged to fit? Over all products, through the product.

    python -m benchmarks.product_search --products products.parquet --judgments judgments.parquet

Products: ``product_uid``, ``product_title``; judgments: ``search_term``, ``product_uid``, ``relevance`` from 1 (no) to
3 (perfect). Measured on a quarter of the queries, chosen by a hash of their text; the settings were tuned on other
queries. With ``--test FILE`` (the columns of judgments) that file's queries are measured instead. Nothing is trained
on judgments: the shop has its default settings and has seen the products only.
"""

from __future__ import annotations

import argparse
import time
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bm25s
import numpy as np
import polars as pl
import Stemmer
from numpy.typing import NDArray

from aisle.contracts import Encoder
from aisle.shop import Shop
from benchmarks.result import Run
from benchmarks.temporary_shop import fill, temporary_shop

SOURCES = ("lexical", "semantic")
DEPTH = 100
PEER_DEPTH = 200
RRF_CONSTANT = 60.0
RELEVANT = 2.33
N_TIMED = 300
QUERIES_AT_ONCE = 200
PROTOCOL = (
    "{queries}; all {n_products} products are ranked by title; nothing trained on judgments; ndcg@10 with gain = "
    "relevance - 1, discount log2, unjudged 0, ideal over the judged, 0 where nothing judged has gain; recall over "
    f"products with relevance >= {RELEVANT}, queries without one left out ({{n_relevant}} of {{n_queries}} have one); "
    "system: default settings, import, train and search_many; peers: bm25s with English stemmer and stop words, the "
    f"packaged MiniLM by exact cosine, reciprocal-rank fusion of their best {PEER_DEPTH}; p50_ms and p99_ms of single "
    "searches in process; one run"
)

Judgments = Mapping[str, Mapping[str, float]]
"""Relevance by product id, by query."""


@dataclass(frozen=True)
class Products:
    """Ids and titles in the file's order."""

    ids: list[str]
    titles: list[str]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=Path, required=True)
    parser.add_argument("--judgments", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="judgments to measure on instead of a quarter of --judgments")
    parser.add_argument("--tuning", action="store_true", help="measure the other three quarters, to choose settings by")
    parser.add_argument("--adapt", action="store_true", help="adapt the language model and compare; see adapting.py")
    parser.add_argument("--methods", nargs="*", default=["full"], help="with --adapt, see METHODS of adapting.py")
    parser.add_argument("--seeds", type=int, default=1, help="with --adapt: runs of each method")
    parser.add_argument("--adapt-settings", default="", help="with --adapt: TOML of [adapt], to try a setting")
    parser.add_argument("--others", type=int, help="with --adapt: search the judged titles and so many others only")
    parser.add_argument("--keep", type=Path, help="with --adapt: keep models here; those kept before learn no more")
    parser.add_argument("--settings", default="", help="TOML of the shop's settings, to try a setting")
    given = parser.parse_args()
    frame = pl.read_parquet(given.products).drop_nulls()
    products = Products(frame["product_uid"].cast(pl.String).to_list(), frame["product_title"].to_list())
    if given.adapt:
        adapt(given, products)
        return
    judged, which = read_judged(given.judgments, given.test, given.tuning)
    queries = list(judged)
    n_relevant = sum(max(grades.values()) >= RELEVANT for grades in judged.values())
    run = Run(
        "product_search",
        PROTOCOL.format(queries=which, n_products=len(products.ids), n_relevant=n_relevant, n_queries=len(queries)),
    )
    with temporary_shop(given.settings, clock=lambda: int(time.time() * 1000)) as shop:
        fill(shop, {"home-depot.products": given.products}, run)
        shop.train(SOURCES)
        run.say("trained")
        system: dict[str, float] = measure(judged, ask_shop(shop, queries, run)) | time_searches(shop, queries)
        run.say(f"system: {system}")
        encoder = shop.live.parts.encoder
        assert encoder is not None
        peers = measure_peers(products, judged, encoder, run)
    run.finish(system, peers)


def adapt(given: argparse.Namespace, products: Products) -> None:
    """Measure adapted models instead of the shop's search; ``--tuning`` measures on validation queries."""
    from benchmarks import adapting  # brings torch

    judged, test = (read_all(path) if path else None for path in (given.judgments, given.test))
    run, system, peers = adapting.measure(
        (products.ids, products.titles),
        judged or {},
        test,
        given.methods,
        range(given.seeds),
        tomllib.loads(given.adapt_settings),
        lambda protocol: Run("product_search --adapt", protocol),
        "validation" if given.tuning else "test",
        given.others,
        given.keep,
    )
    run.finish(system, peers)


def read_all(path: Path) -> dict[str, dict[str, float]]:
    """Relevance by product id, by query."""
    by_query: dict[str, dict[str, float]] = {}
    for query, product, relevance in (
        pl.read_parquet(path).select("search_term", "product_uid", "relevance").iter_rows()
    ):
        by_query.setdefault(query, {})[str(product)] = relevance
    return by_query


def read_judged(judgments: Path, test: Path | None, is_tuning: bool) -> tuple[Judgments, str]:
    """The judgments to measure on, by query, and which these are in words."""
    by_query = read_all(test or judgments)
    if test is not None:
        return by_query, f"all {len(by_query)} queries of a separate test file"
    part = {query: grades for query, grades in by_query.items() if is_tuning != is_held_out(query)}
    share = "three quarters the settings were tuned on" if is_tuning else "held-out quarter, by a hash of the query"
    return part, f"{len(part)} of {len(by_query)} queries, the {share}"


def is_held_out(query: str) -> bool:
    """Whether a query belongs to the quarter that settings are never chosen by."""
    return zlib.crc32(f"s1{query}".encode()) % 4 == 0


def ask_shop(shop: Shop, queries: Sequence[str], run: Run) -> list[Sequence[str]]:
    """The product's list for each query, best first."""
    lists: list[Sequence[str]] = []
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        responses = shop.search_many(queries[start : start + QUERIES_AT_ONCE], size=DEPTH)
        if responses[0].degraded:
            raise SystemExit(f"the shop answered without {', '.join(responses[0].degraded)}")
        lists += [response.item_ids for response in responses]
    run.say("asked")
    return lists


def time_searches(shop: Shop, queries: Sequence[str]) -> dict[str, float]:
    """Milliseconds of one search for 20 items, one at a time; each query gets a word more, so none is remembered."""
    took: list[float] = []
    for query in queries[:N_TIMED]:
        started = time.perf_counter()
        shop.search(f"{query} new", size=20)
        took.append(1000 * (time.perf_counter() - started))
    p50, p99 = np.percentile(took, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def measure(judged: Judgments, lists: Sequence[Sequence[str]]) -> dict[str, float]:
    """Means over queries; see ``PROTOCOL`` for what each is."""
    gains: list[float] = []
    recalls: dict[int, list[float]] = {10: [], 100: []}
    discount = 1.0 / np.log2(np.arange(2, 12))
    for grades, ranked in zip(judged.values(), lists, strict=True):
        got = np.array([grades.get(product, 1.0) - 1.0 for product in ranked[:10]])
        best = np.sort(np.array(list(grades.values())) - 1.0)[::-1][:10]
        ideal = float(best @ discount[: len(best)])
        gains.append(float(got @ discount[: len(got)]) / ideal if ideal > 0 else 0.0)
        relevant = {product for product, relevance in grades.items() if relevance >= RELEVANT}
        for depth, of_depth in recalls.items():
            if relevant:
                of_depth.append(len(relevant.intersection(ranked[:depth])) / len(relevant))
    means = {"ndcg@10": np.mean(gains)} | {f"recall@{depth}": np.mean(of) for depth, of in recalls.items()}
    return {name: round(float(value), 4) for name, value in means.items()}


def measure_peers(products: Products, judged: Judgments, encoder: Encoder, run: Run) -> dict[str, dict[str, float]]:
    """BM25, MiniLM and their fusion on the same queries."""
    queries = list(judged)
    stemmer = Stemmer.Stemmer("english")
    words = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
    bm25 = bm25s.BM25()
    bm25.index(bm25s.tokenize(products.titles, **words), show_progress=False)
    n_best = min(PEER_DEPTH, len(products.ids))
    found, _ = bm25.retrieve(bm25s.tokenize(queries, **words), k=n_best, show_progress=False)
    by_words = [row.astype(np.int64) for row in np.asarray(found)]
    run.say("peer bm25s asked")
    titles, typed = encoder.encode(products.titles), encoder.encode(queries)  # kept by the shop: little is encoded anew
    by_meaning = [best_rows(titles @ vector, n_best) for vector in typed]
    run.say("peer MiniLM asked")
    fused = [reciprocal_rank_fusion([a, b]) for a, b in zip(by_words, by_meaning, strict=True)]
    lists = {"bm25s": by_words, "MiniLM": by_meaning, "rank fusion of the two": fused}
    return {name: measure(judged, [[products.ids[row] for row in rows] for rows in of]) for name, of in lists.items()}


def best_rows(scores: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """The ``n`` best rows, best first, ties by row."""
    rows = np.argpartition(-scores, n - 1)[:n]
    return rows[np.lexsort((rows, -scores[rows]))]


def reciprocal_rank_fusion(lists: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Rows by the sum of 1 / (60 + rank) over lists (Cormack et al. 2009), ties by row."""
    rows = np.unique(np.concatenate(lists))
    score = np.zeros(len(rows))
    for ranked in lists:
        score[np.searchsorted(rows, ranked)] += 1.0 / (RRF_CONSTANT + np.arange(1, len(ranked) + 1))
    return rows[np.lexsort((rows, -score))]


if __name__ == "__main__":
    main()
