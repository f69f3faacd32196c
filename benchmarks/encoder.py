"""How fast and how exact are the encoders? Texts a second in bulk, milliseconds for one query.

    python -m benchmarks.encoder --texts products.parquet --column product_title

The packaged MiniLM by ONNX Runtime in fp32 and int8 against transformers on torch, on the same texts and threads.
``cosine_mean`` and ``cosine_min`` compare each text's vector with torch's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from aisle.contracts import Encoder, Float32Array
from aisle.language import open_encoder
from aisle.settings import EncoderConfig
from benchmarks.result import Run

PROTOCOL = (
    "{n_texts} texts drawn from the file with seed 0, batches of 64, {threads} threads; queries are the first words of "
    "{n_queries} of them, one at a time; the peer is transformers on torch, fp32; one run"
)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="a Parquet file")
    parser.add_argument("--column", required=True, help="its column of texts")
    parser.add_argument("--n-texts", type=int, default=2000)
    parser.add_argument("--n-queries", type=int, default=200)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    given = parser.parse_args()
    column = pl.read_parquet(given.texts, columns=[given.column])[given.column].drop_nulls()
    texts = column.sample(min(given.n_texts, len(column)), seed=0).to_list()
    queries = [" ".join(text.split()[:3]) for text in texts[: given.n_queries]]
    threads = given.threads or "all"
    run = Run("encoder", PROTOCOL.format(n_texts=len(texts), n_queries=len(queries), threads=threads))
    peer, reference = measure(EncoderConfig(kind="transformers", n_threads=given.threads), texts, queries)
    run.say(f"torch: {peer}")
    system: dict[str, float] = {}
    for precision in ("fp32", "int8"):
        config = EncoderConfig(precision=precision, n_threads=given.threads)
        measured, vectors = measure(config, texts, queries)
        cosines = (vectors * reference).sum(axis=1)
        measured |= {"cosine_mean": round(float(cosines.mean()), 5), "cosine_min": round(float(cosines.min()), 5)}
        run.say(f"onnx {precision}: {measured}")
        system |= {f"{precision}_{name}": value for name, value in measured.items()}
    run.finish(system, {"transformers on torch": peer})


def measure(
    config: EncoderConfig, texts: Sequence[str], queries: Sequence[str]
) -> tuple[dict[str, float], Float32Array]:
    """Figures of one encoder and the vectors of ``texts``."""
    encoder: Encoder = open_encoder(config)
    encoder.encode(texts[:64])
    started = time.perf_counter()
    vectors = encoder.encode(texts)
    seconds = time.perf_counter() - started
    took: list[float] = []
    for query in queries:
        before = time.perf_counter()
        encoder.encode([query])
        took.append(1000 * (time.perf_counter() - before))
    p50, p99 = np.percentile(took, [50, 99])
    figures = {"texts_per_second": len(texts) / seconds, "query_p50_ms": float(p50), "query_p99_ms": float(p99)}
    return {name: round(value, 2) for name, value in figures.items()}, vectors


if __name__ == "__main__":
    main()
