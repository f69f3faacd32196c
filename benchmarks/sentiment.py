"""Is a Chinese review good or bad? By a model that began from nothing, and what each way to need fewer labels buys.

    python -m benchmarks.sentiment --reviews online_shopping_10_cats.parquet --queries train.parquet

Reviews: ``cat``, ``label`` (1 good, 0 bad), ``review``; queries: ``query``. Measured on a tenth of the reviews, chosen
by a hash; with ``--test FILE`` on that file's. The small BERT, its vocabulary too, learns from the other reviews' texts
and the queries only, before it sees a label; ``--model FOLDER`` takes one that did.
"""

from __future__ import annotations

import argparse
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from aisle.language.active_learning import PICKS, Pick, pick
from aisle.language.adapt_config import MaskingConfig
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import finetune
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.language.new_model import NewModelConfig, new_model
from aisle.language.pretrain_config import PretrainConfig
from aisle.language.pretraining import pretrain
from aisle.language.self_training import self_train
from aisle.language.self_training_config import SelfTrainingConfig
from aisle.language.text_model import TextModel
from benchmarks.result import Metrics, Run
from benchmarks.text_tasks import Labelled, Told, averaged, by_finetuning, by_ngrams, by_vectors

NAMES = ("bad", "good")
SHAPE = NewModelConfig(layers=3, width=192, heads=4, vocabulary=12_000, max_tokens=64)
TASK = TaskConfig(name="label", kind="binary", labels=NAMES)
MOST_UNLABELLED = 8_000
PROTOCOL = (
    "{n_train} reviews to learn from, {n_test} to measure on; accuracy and auc; system: a BERT of {layers} layers "
    "of width {width} with a vocabulary of its own, pre-trained ({steps}) on the {n_train} reviews' texts and "
    "{n_queries} queries, fine-tuned on as many labels as the name says (0: all), n-grams beside; network: "
    "without these; frozen: its vectors as they are with logistic regression; new: fine-tuned before it learned masked "
    "words, tokens' vectors begin near neighbours in the reviews; blank: tokens' vectors begin at random as well; "
    "transfer: first fine-tuned on all other categories, labels and measurement from {category} only, beside the "
    "system there (own, {category}); self-training: {n_unlabelled} more reviews labelled by the model itself; active: "
    "labels picked by uncertainty (or as named) in four rounds, from as many reviews; peers: character 1-3-grams with "
    "logistic regression, the packaged"
    " English MiniLM's vectors with logistic regression; {n_seeds} seeds of the labels drawn"
)


@dataclass(frozen=True)
class Bench:
    """What every method needs."""

    train: Labelled
    test: Labelled
    model: ModelFolder
    new: ModelFolder
    blank: ModelFolder
    settings: Mapping[str, Any]
    work: Path


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=Path, required=True)
    parser.add_argument("--queries", type=Path, help="Chinese queries to pre-train on as well")
    parser.add_argument("--test", type=Path, help="reviews to measure on instead of a tenth of --reviews")
    parser.add_argument("--tuning", action="store_true", help="measure on a tenth of the training reviews")
    parser.add_argument("--labels", type=int, nargs="*", default=[100, 1_000, 10_000], help="labels; 0 for all")
    parser.add_argument("--methods", nargs="*", default=[*USUAL], choices=[*METHODS])
    parser.add_argument("--category", default="酒店", help="the category that transfer keeps out")
    parser.add_argument("--seeds", type=int, default=1, help="draws of labels")
    parser.add_argument("--model", type=Path, help="a model pre-trained before, in place of pre-training")
    parser.add_argument("--keep", type=Path, help="where to keep the pre-trained model")
    parser.add_argument("--pretrain-steps", type=int, default=2_000, help="0 learns no masked words")
    parser.add_argument("--most-tested", type=int, default=0, help="reviews to measure on at most; 0 for all")
    parser.add_argument("--settings", default="", help="TOML of [finetune], to try a setting")
    given = parser.parse_args()
    frame, learned = read(given.reviews)
    if given.test is not None:
        measured_frame, measured = read(given.test)
    else:
        (frame, learned), (measured_frame, measured) = parted(frame, learned, "sentiment")
    if given.tuning:
        (frame, learned), (measured_frame, measured) = parted(frame, learned, "tuning")
    queries = pl.read_parquet(given.queries)["query"].drop_nulls().to_list() if given.queries else []
    run = Run(
        "sentiment",
        PROTOCOL.format(
            n_train=len(learned),
            n_test=min(len(measured), given.most_tested or len(measured)),
            layers=SHAPE.layers,
            width=SHAPE.width,
            steps=f"as {given.model}" if given.model else f"{given.pretrain_steps:,} steps of 64",
            n_queries=len(queries),
            category=given.category,
            n_unlabelled=MOST_UNLABELLED,
            n_seeds=given.seeds,
        ),
    )
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        model = pretrained(given, [*learned.texts, *queries], work, run)
        new = model
        if "new" in given.methods:
            new = new_model(learned.texts, SHAPE, work / "new")
        blank = model
        if "blank" in given.methods:
            blank = new_model(learned.texts, SHAPE.model_copy(update={"beginning": "random"}), work / "blank")
        settings = {"max_tokens": 64, "metric": "accuracy", **tomllib.loads(given.settings)}
        settings["training"] = {
            "trackers": [],
            "checkpoint_every": 0,
            "learning_rate": 3e-4,
            **settings.get("training", {}),
        }
        whole = Bench(learned, measured.some(given.most_tested, 0), model, new, blank, settings, work)
        of_category = Bench(
            learned.at(np.flatnonzero(frame["cat"] == given.category)),
            measured.at(np.flatnonzero(measured_frame["cat"] == given.category)),
            model,
            new,
            blank,
            settings,
            work,
        )
        others = learned.at(np.flatnonzero(frame["cat"] != given.category))
        found = compared(given, whole, of_category, others, run)
    system = next(
        (name for name in (f"own, {n or 'all'}" for n in sorted(given.labels, key=most)) if name in found), ""
    )
    run.finish(found.pop(system or list(found)[-1]), found)


def most(n: int) -> float:
    """Most labels first; 0 means all."""
    return -float(n or np.inf)


def compared(
    given: argparse.Namespace, whole: Bench, of_category: Bench, others: Labelled, run: Run
) -> dict[str, Metrics]:
    """Figures of each method at each number of labels."""
    found: dict[str, Metrics] = {}
    teacher = None
    for n in given.labels:
        for method in given.methods:
            is_transfer = method in ("transfer", "own there")
            bench = of_category if is_transfer else whole
            if (is_transfer and n >= len(bench.train)) or (method.startswith(("self-training", "active")) and not n):
                continue
            if method == "transfer" and teacher is None:
                teacher = learned_elsewhere(whole, others, run)
            runs: list[dict[str, float]] = []
            for seed in range(given.seeds if n else 1):
                told = METHODS[method](bench, bench.train.some(n, seed), seed, teacher)
                runs.append(told.measured(bench.test))
                run.say(f"{n or 'all'} labels, {method}, seed {seed}: {runs[-1]}")
            found[f"{method}, {n or 'all'}"] = averaged(runs)
    return found


def read(file: Path) -> tuple[pl.DataFrame, Labelled]:
    """Reviews that say something."""
    frame = pl.read_parquet(file).drop_nulls("review").filter(pl.col("review").str.strip_chars() != "")
    return frame, Labelled(frame["review"].to_list(), frame["label"].to_numpy().astype(np.int64), NAMES)


def parted(
    frame: pl.DataFrame, reviews: Labelled, salt: str
) -> tuple[tuple[pl.DataFrame, Labelled], tuple[pl.DataFrame, Labelled]]:
    """The rest and a tenth, by a hash of the text, with the frames' rows."""
    rows = Labelled(reviews.texts, np.arange(len(reviews)), reviews.names)
    kept, out = (part.labels for part in rows.parted(0.1, salt))
    return (frame[kept], reviews.at(kept)), (frame[out], reviews.at(out))


def pretrained(given: argparse.Namespace, texts: list[str], work: Path, run: Run) -> ModelFolder:
    """The small BERT after it has read ``texts``."""
    if given.model is not None:
        return open_model_folder(str(given.model))
    target = given.keep or work / "pretrained"
    if not given.pretrain_steps:
        return new_model(texts, SHAPE, target)
    training = {"trackers": [], "max_steps": given.pretrain_steps, "checkpoint_every": 500, "learning_rate": 1e-3}
    masking = MaskingConfig(runs=(1.0,))
    config = PretrainConfig(
        model=SHAPE, max_tokens=64, masking=masking, training={**training, "epochs": 100, "batch_size": 64}
    )
    told = pretrain(texts, config, work=work / "pretraining", target=target)
    run.say(f"pre-trained: {told.metrics()}")
    return open_model_folder(str(target))


def settings_of(bench: Bench, seed: int) -> dict[str, Any]:
    """Settings of ``[finetune]``."""
    return {**bench.settings, "training": {**bench.settings["training"], "seed": seed}}


def table_of(part: Labelled) -> LabelledTexts:
    """As the product takes it."""
    return LabelledTexts("reviews", part.texts, {"label": [NAMES[one] for one in part.labels]})


def learned_elsewhere(bench: Bench, others: Labelled, run: Run) -> Path:
    """A model fine-tuned on the other categories."""
    target = bench.work / "elsewhere"
    config = FinetuneConfig.parse(settings_of(bench, 0), "finetune")
    told = finetune(bench.model, [table_of(others)], [TASK], config, work=bench.work / "e", target=target)
    run.say(f"learned from {len(others)} reviews of other categories: {dict(told.metrics)}")
    return target


def by_self_training(bench: Bench, labelled: Labelled, seed: int, teacher: Path | None) -> Told:
    """Texts of other training reviews are labelled by the model itself."""
    del teacher
    rest = np.setdiff1d(np.asarray(bench.train.texts, dtype=object), np.asarray(labelled.texts, dtype=object))
    unlabelled = np.random.default_rng(seed).permutation(rest)[:MOST_UNLABELLED].tolist()
    target = Path(tempfile.mkdtemp(dir=bench.work)) / "model"
    told = self_train(
        bench.model,
        [table_of(labelled)],
        [LabelledTexts("without labels", unlabelled, {})],
        TASK,
        FinetuneConfig.parse(settings_of(bench, seed), "finetune"),
        SelfTrainingConfig(),
        work=target.parent / "work",
        target=target,
    )
    said = TextModel.load(target).predict(bench.test.texts)["label"].astype(np.float64)
    rounds = [told.first, *(one.finetuned for one in told.rounds if one.finetuned is not None)]
    return Told(said, sum(one.trained.seconds for one in rounds) / 60, told.kept.n_trained_parameters)


def by_active_learning(
    bench: Bench, labelled: Labelled, seed: int, teacher: Path | None, how: Pick = "uncertainty"
) -> Told:
    """As many labels, the first quarter drawn, the rest picked from a pool by the model as it then is."""
    del teacher
    n, rounds = len(labelled), 4
    pool = bench.train.some(MOST_UNLABELLED, 1_000 + seed)
    chosen = np.random.default_rng(seed).permutation(len(pool))[: n // rounds]
    config = FinetuneConfig.parse(settings_of(bench, seed), "finetune")
    for _ in range(rounds - 1):
        target = Path(tempfile.mkdtemp(dir=bench.work)) / "model"
        finetune(bench.model, [table_of(pool.at(chosen))], [TASK], config, work=target.parent / "w", target=target)
        rest = np.setdiff1d(np.arange(len(pool)), chosen)
        model = TextModel.load(target)
        texts = pool.at(rest).texts
        more = pick(
            how, n // rounds, vectors=model.vectors(texts), probabilities=model.predict(texts)["label"], seed=seed
        )
        chosen = np.concatenate([chosen, rest[more]])
    return by_finetuning(pool.at(np.sort(chosen)), bench.test, bench.model, settings_of(bench, seed))


Method = Callable[[Bench, Labelled, int, Path | None], Told]
METHODS: Mapping[str, Method] = {
    "n-grams": lambda bench, labelled, seed, teacher: by_ngrams(labelled, bench.test, "char", 3),
    "MiniLM": lambda bench, labelled, seed, teacher: by_vectors(labelled, bench.test, open_model_folder(None)),
    "own": lambda bench, labelled, seed, teacher: by_finetuning(
        labelled, bench.test, bench.model, settings_of(bench, seed)
    ),
    "network": lambda bench, labelled, seed, teacher: by_finetuning(
        labelled, bench.test, bench.model, {**settings_of(bench, seed), "ngrams": "off"}
    ),
    "frozen": lambda bench, labelled, seed, teacher: by_vectors(labelled, bench.test, bench.model),
    "blank": lambda bench, labelled, seed, teacher: by_finetuning(
        labelled, bench.test, bench.blank, settings_of(bench, seed)
    ),
    "new": lambda bench, labelled, seed, teacher: by_finetuning(
        labelled, bench.test, bench.new, settings_of(bench, seed)
    ),
    "own there": lambda bench, labelled, seed, teacher: by_finetuning(
        labelled, bench.test, bench.model, settings_of(bench, seed)
    ),
    "transfer": lambda bench, labelled, seed, teacher: by_finetuning(
        labelled, bench.test, bench.model, settings_of(bench, seed), start_from=teacher
    ),
    "self-training": by_self_training,
    "active": by_active_learning,
    **{
        f"active by {how}": partial(by_active_learning, how=how)
        for how in PICKS
        if how not in ("random", "uncertainty")
    },
}
USUAL = ("n-grams", "MiniLM", "frozen", "own", "network", "new", "own there", "transfer", "self-training", "active")
"""Methods that run unless others are named."""


if __name__ == "__main__":
    main()
