"""What making the language model smaller costs and gains.

    python -m benchmarks.compression --products products.parquet --judgments judgments.parquet [--model FOLDER]

The small model learns from the large one by all titles and the training queries of ``benchmarks.adapting`` (without
their judgments). Measured on its test queries (``--tuning``: validation queries; ``--test FILE``: that file's), by
exact cosine over all titles or, with ``--others N``, over the judged titles and N more. Every model runs in ONNX
Runtime on ``--threads`` cores, one after the other in the same process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from aisle.contracts import Progress
from aisle.language.compress_config import CompressConfig
from aisle.language.compressing import Lessons, Precision, shrink, timed
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.language.onnx import OnnxEncoder, fingerprint_of
from aisle.language.onnx_cache import exported
from aisle.language.retrieval_check import interval
from benchmarks.adapting import Search, best_rows, part_of
from benchmarks.product_search import read_all
from benchmarks.result import Run

PROTOCOL = (
    "{model}, made smaller: {settings}; learned from {n_texts} titles, pieces of titles and queries, without "
    "judgments; measured on {n_queries} other queries ({part}) by exact cosine over {n_titles} titles; ndcg@10 as in "
    "product_search; lost: share of the original's ndcg@10, lost_low and lost_high its 90% interval over queries; "
    "texts_per_second: titles, the best of 5 rounds, and texts_per_core_second: the same by the processor's time, of "
    "which other programs take nothing; query_ms: median of single queries; ONNX Runtime, {n_threads} "
    "cores, models timed in turn; agreement: share of the original's first 10; one run"
)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=Path, required=True)
    parser.add_argument("--judgments", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="judgments to measure on instead of the last tenth of --judgments")
    parser.add_argument("--tuning", action="store_true", help="measure validation queries, to choose settings by")
    parser.add_argument("--model", help="folder of the model; default: the packaged MiniLM")
    parser.add_argument("--others", type=int, help="search the judged titles and so many others; default: all")
    parser.add_argument("--settings", default="", help="TOML of [compress]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timed", type=int, default=1_000, help="titles encoded in each timed round")
    parser.add_argument("--work", type=Path, help="folder to keep checkpoints in; a killed run goes on from there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        measure(given, given.work or Path(aside))


def measure(given: argparse.Namespace, work: Path) -> None:
    """Make the models and print the result."""
    frame = pl.read_parquet(given.products).drop_nulls()
    ids, titles = frame["product_uid"].cast(pl.String).to_list(), frame["product_title"].to_list()
    judged = read_all(given.judgments)
    part = "validation" if given.tuning else "test"
    queries = [query for query in judged if part_of(query) == "training"]
    measured = read_all(given.test) if given.test else {q: of for q, of in judged.items() if part_of(q) == part}
    search = Search(ids, titles, measured).among(given.others)
    config = CompressConfig.parse({"neurons": 0.5, **tomllib.loads(given.settings)}, "compress")
    folder = open_model_folder(given.model)
    run = Run("compression", "")
    lessons = Lessons.of(folder, titles, queries, config, work, told(run))
    run.protocol = PROTOCOL.format(
        model="a model adapted to these titles" if given.model else "the packaged MiniLM",
        settings=config.model_dump(mode="json"),
        n_texts=len(lessons.texts),
        n_queries=len(measured),
        part="a separate file" if given.test else part,
        n_titles=len(search.titles),
        n_threads=given.threads,
    )
    run.say(run.protocol)
    found: dict[str, dict[str, float]] = {}
    original: tuple[np.ndarray, list[np.ndarray], tuple[float, float]] | None = None
    for name, model, precision in models(folder, lessons, config, work, run):
        fingerprint = fingerprint_of(model, precision)
        where = exported(model, precision, fingerprint, told(run), under=work / "onnx")
        encoder = OnnxEncoder(where, fingerprint, precision=precision, batch_size=64, n_threads=given.threads)
        lists = best_rows(encoder.encode(list(search.judged)), encoder.encode(search.titles), 10)
        gains = np.array(search.gains(lists))
        speeds = texts_per_second(encoder, titles[: given.timed])
        _, query_ms = timed(encoder, titles[:64], list(search.judged), rounds=1)
        original = original or (gains, lists, speeds)
        low, high = interval(original[0] - gains)
        figures = {
            "megabytes": encoder.megabytes,
            "texts_per_second": speeds[0],
            "texts_per_core_second": speeds[1],
            "times_faster": speeds[0] / original[2][0],
            "times_faster_by_processor": speeds[1] / original[2][1],
            "query_ms": query_ms,
            "ndcg@10": gains.mean(),
            "lost": 1.0 - gains.mean() / original[0].mean(),
            "lost_low": low / original[0].mean(),
            "lost_high": high / original[0].mean(),
            "agreement": np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(original[1], lists, strict=True)]),
        }
        found[name] = {key: round(float(value), 4) for key, value in figures.items()}
        run.say(f"{name}: {found[name]}")
    run.finish(found.pop(list(found)[-1]), found)


def texts_per_second(encoder: OnnxEncoder, titles: list[str], rounds: int = 5) -> tuple[float, float]:
    """The best of ``rounds`` by the clock, and by the time that the processor spent on this program."""
    encoder.encode(titles[:64])
    by_clock, by_processor = [], []
    for _ in range(rounds):
        begun, spent = time.perf_counter(), time.process_time()
        encoder.encode(titles)
        by_clock.append(len(titles) / (time.perf_counter() - begun))
        by_processor.append(len(titles) / (time.process_time() - spent))
    return max(by_clock), max(by_processor)


def models(
    folder: ModelFolder, lessons: Lessons, config: CompressConfig, work: Path, run: Run
) -> Iterator[tuple[str, ModelFolder, Precision]]:
    """The original, and what serves after each step; the last is the system."""
    yield "original fp32", folder, "fp32"
    yield "original int8", folder, "int8"
    done: list[str] = []
    for name, model in shrink(folder, lessons, config, work / "steps", told(run)):
        done.append(name)
        yield f"{', '.join(done)} fp32", model, "fp32"
        yield f"{', '.join(done)} int8", model, "int8"


def told(run: Run) -> Progress:
    """Progress of long work, each task at its beginning and every 20th part."""
    said: dict[str, int] = {}

    def say(task: str, done: int, total: int | None = None) -> None:
        name = task.partition("\t")[0]
        mark = 20 * done // max(total or 1, 1)
        if said.get(name) != mark:
            said[name] = mark
            run.say(f"{task} {done}/{total}")

    return say


if __name__ == "__main__":
    main()
