"""What does a customer want? From few examples and from all, by fine-tuned models and a linear one.

    python -m benchmarks.intent --utterances utterances.parquet

``instruction`` is the text, ``intent`` its label. Measured on a fifth of the texts, chosen by a hash; with
``--test FILE`` (the same columns) on that file's. Settings were chosen on a fifth of the other four (``--tuning``).
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from aisle.language.model_folder import open_model_folder
from benchmarks.result import Metrics, Run
from benchmarks.text_tasks import Labelled, Told, averaged, by_finetuning, by_ngrams, by_vectors

PROTOCOL = (
    "{n_train} utterances of {n_intents} intents to learn from, {n_test} to measure on; accuracy; as many examples a "
    "class as each name says, drawn anew with each of {n_seeds} seeds, all learned once; system: {system}; full, "
    "lora, heads: the packaged MiniLM fine-tuned in all weights, by LoRA, in its head alone, settings {settings}; "
    "frozen: its vectors with logistic regression; tf-idf: TF-IDF of words and word pairs with logistic regression"
)
METHODS: Mapping[str, Mapping[str, Any]] = {
    "full": {},
    "lora": {"adapter": {"method": "lora", "rank": 8, "alpha": 16}},
    "heads": {"trained": "heads"},
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="utterances to measure on instead of a fifth of --utterances")
    parser.add_argument("--tuning", action="store_true", help="measure on a fifth of the training texts")
    parser.add_argument("--per-class", type=int, nargs="*", default=[5, 20, 0], help="examples a class; 0 for all")
    parser.add_argument("--methods", nargs="*", default=["tf-idf", "frozen", "heads", "lora", "full"])
    parser.add_argument("--seeds", type=int, default=3, help="draws of few examples; all are learned once")
    parser.add_argument("--settings", default="", help="TOML of [finetune], to try a setting")
    given = parser.parse_args()
    learned, measured = read(given.utterances), None
    names = learned.names
    if given.test is not None:
        measured = read(given.test, names)
    else:
        learned, measured = learned.parted(0.2, "intent")
    if given.tuning:
        learned, measured = learned.parted(0.2, "tuning")
    settings = tomllib.loads(given.settings)
    asked = [f"{method}, {n or 'all'} a class" for n in given.per_class for method in given.methods]
    system = "full, all a class" if "full, all a class" in asked else asked[-1]
    run = Run(
        "intent",
        PROTOCOL.format(
            n_train=len(learned),
            n_intents=len(names),
            n_test=len(measured),
            n_seeds=given.seeds,
            system=system,
            settings=settings or "by default",
        ),
    )
    found: dict[str, Metrics] = {}
    for n in given.per_class:
        for method in given.methods:
            runs: list[dict[str, float]] = []
            for seed in range(given.seeds if n else 1):
                told = learn(method, learned.of_each(n, seed), measured, settings, seed)
                runs.append(told.measured(measured))
                run.say(f"{n or 'all'} a class, {method}, seed {seed}: {runs[-1]}")
            found[f"{method}, {n or 'all'} a class"] = averaged(runs)
    run.finish(found.pop(system), found)


def read(file: Path, names: Sequence[str] | None = None) -> Labelled:
    """Different utterances, with their intents."""
    frame = (
        pl.read_parquet(file).select("instruction", "intent").drop_nulls().unique("instruction", maintain_order=True)
    )
    known = tuple(names or sorted(frame["intent"].unique()))
    rows = {name: row for row, name in enumerate(known)}
    return Labelled(
        frame["instruction"].to_list(), np.array([rows[one] for one in frame["intent"]], dtype=np.int64), known
    )


def learn(method: str, train: Labelled, test: Labelled, settings: Mapping[str, Any], seed: int) -> Told:
    """One way to learn ``train``, asked of ``test``."""
    folder = open_model_folder(None)
    if method == "tf-idf":
        return by_ngrams(train, test, "word", 2)
    if method == "frozen":
        return by_vectors(train, test, folder)
    training = {"trackers": [], "seed": seed, "checkpoint_every": 0, **settings.get("training", {})}
    return by_finetuning(train, test, folder, {**settings, **METHODS[method], "training": training})


if __name__ == "__main__":
    main()
