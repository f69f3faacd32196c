"""Search over the settings of a training that the shop's records feed.

Enters: records, the configured model, ranges. Leaves: trials, best first; no version is written and nothing changes in
the shop but the folder of trials.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from aisle.contracts import Progress, RecordStore, silent
from aisle.domain import Snapshot
from aisle.errors import ConfigError
from aisle.flows.rewriting import OtherWays, ShopRewriter
from aisle.flows.text_pairs import begun_with, gather_pairs
from aisle.language.adapt_config import AdaptConfig
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import open_model_folder
from aisle.language.pretrain_config import PretrainConfig
from aisle.settings import EncoderConfig
from aisle.storage.durable import move
from aisle.training.tuning import OnRay, Trained, Tuned, parse_space, tune

_ASKED = (
    "masking",
    "model.vocabulary",
    "model.size",
    "model.family",
    "model.chinese",
    "model.max_tokens",
    "max_tokens",
    "held_out_share",
    "most_held_out",
)
METRIC = "ndcg@10"
"""Of the model after adapting, on pairs that it has not learned."""


def tune_adapt(
    settings: Mapping[str, Any],
    encoding: EncoderConfig,
    snapshot: Snapshot,
    records: RecordStore,
    texts: Sequence[str],
    varied: Sequence[str],
    n_trials: int,
    folder: Path,
    rewriter: ShopRewriter,
    progress: Progress,
    on_ray: int = 0,
) -> Tuned:
    """Try settings of ``[adapt]`` on the shop's own pairs.

    Args:
        settings: of ``[adapt]``, as far as they do not vary.
        encoding: names the model.
        snapshot: items and behaviour.
        records: for what was searched and clicked.
        texts: (n_items,) the items' texts as they are searched.
        varied: ``KEY=RANGE`` each, see ``training.tuning.parse_space``.
        n_trials: in all, those in ``folder`` counted.
        folder: for the trials.
        rewriter: for other ways to write texts, where a trial asks for them.
        progress: hears of each part.
        on_ray: trials at a time on a Ray cluster; 0 makes them here, one after another.

    Raises:
        ConfigError: a range or a setting is wrong.
        NotReadyError: too few pairs.
    """
    space = parse_space(varied)
    model = open_model_folder(encoding.model)
    fixed = AdaptConfig.parse(settings, "adapt")
    own = folder / _named(model.digest, settings, varied)
    pairs = begun_with(own / "began", lambda: gather_pairs(snapshot, records, texts, fixed.most_pairs))
    learned, held_out = pairs.parted(fixed.validation_share)
    readable = pairs.readable(fixed.validation_share)

    if on_ray and (fixed.views.rewritten_chance or "views.rewritten_chance" in space):
        raise ConfigError(
            "adapt.views.rewritten_chance asks the chat model, which processes of a cluster cannot; search without "
            "--on-ray, or with rewritten_chance = 0",
            setting="adapt.views.rewritten_chance",
        )

    def training(heard: Progress, asked: ShopRewriter | None) -> Trained:
        def trained(trial: Mapping[str, Any], work: Path) -> Mapping[str, float]:
            from aisle.language.adapting import adapt as adapt_model  # brings torch
            from aisle.language.adapting import require_possible

            config = AdaptConfig.parse(over(settings, trial), "adapt")
            require_possible(learned, held_out, config)
            rewritten = asked.begun_with(work, config, learned, pairs.texts) if asked else OtherWays()
            target = work / "model"
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            return adapt_model(
                model,
                learned,
                held_out,
                readable,
                config,
                work=work,
                target=target,
                rewritten=rewritten.ways,
                progress=heard,
            ).after.means()

        return trained

    there = OnRay(on_ray, training(silent, None)) if on_ray else None
    return tune(
        training(progress, rewriter), space, own, metric=METRIC, n_trials=n_trials, progress=progress, on_ray=there
    )


def tune_finetune(
    settings: Mapping[str, Any],
    model: str | None,
    tables: Sequence[LabelledTexts],
    tasks: Sequence[TaskConfig],
    varied: Sequence[str],
    n_trials: int,
    folder: Path,
    progress: Progress,
    on_ray: int = 0,
) -> Tuned:
    """Try settings of ``[finetune]`` on labelled tables, by the metric that the settings name.

    Args:
        settings: of ``[finetune]``, as far as they do not vary.
        model: a folder or name to begin from.
        tables: what people labelled.
        tasks: what to tell.
        varied: ``KEY=RANGE`` each, see ``training.tuning.parse_space``.
        n_trials: in all, those in ``folder`` counted.
        folder: for the trials.
        progress: hears of each part.
        on_ray: trials at a time on a Ray cluster; 0 makes them here, one after another.

    Raises:
        ConfigError: a range or a setting is wrong.
        DataError: names the table and row, and what is allowed.
    """
    space, opened = parse_space(varied), open_model_folder(model)
    metric = FinetuneConfig.parse(settings, "finetune").metric

    def training(heard: Progress) -> Trained:
        def trained(trial: Mapping[str, Any], work: Path) -> Mapping[str, float]:
            from aisle.language.finetuning import finetune as finetune_model  # brings torch

            config = FinetuneConfig.parse(over(settings, trial), "finetune")
            target = work / "model"
            shutil.rmtree(target, ignore_errors=True)
            found = finetune_model(opened, tables, tasks, config, work=work, target=target, progress=heard)
            return {name: value for name, value in found.metrics.items() if "/" not in name}

        return trained

    told = f"-{metric}" if metric == "log_loss" else metric
    own = folder / _named(opened.digest, settings, varied, *(repr(one) for one in (*tables, *tasks)))
    there = OnRay(on_ray, training(silent)) if on_ray else None
    return tune(training(progress), space, own, metric=told, n_trials=n_trials, progress=progress, on_ray=there)


def tune_pretrain(
    settings: Mapping[str, Any],
    gather: Callable[[], Sequence[str]],
    more: Sequence[str],
    varied: Sequence[str],
    n_trials: int,
    folder: Path,
    progress: Progress,
    on_ray: int = 0,
) -> Tuned:
    """Try settings of ``[pretrain]`` for a new model, by its loss a token on texts that were kept out.

    Args:
        settings: of ``[pretrain]``, as far as they do not vary.
        gather: gives what the shop says and is asked. A search that was stopped goes on with what it began with, for
            losses on other texts could not be compared, and a shop does not stand still.
        more: other texts that are read; with others it is another search.
        varied: ``KEY=RANGE`` each, see ``training.tuning.parse_space``.
        n_trials: in all, those in ``folder`` counted.
        folder: for the trials.
        progress: hears of each part.
        on_ray: trials at a time on a Ray cluster; 0 makes them here, one after another.

    Raises:
        ConfigError: a range or a setting is wrong, or it changes what the loss is measured on, so that trials could
            not be compared.
        NotReadyError: too few texts.
    """
    space = parse_space(varied)
    for key in space:
        if key.startswith(_ASKED):
            raise ConfigError(
                f"pretrain.{key} changes which tokens are asked for, so that the losses of trials cannot be compared; "
                f"vary others than {', '.join(_ASKED)}",
                setting=f"pretrain.{key}",
            )

    own = folder / _named("", settings, varied, *sorted(set(more)))
    texts = _texts_begun_with(own / "began", lambda: [*gather(), *more])

    def training(heard: Progress) -> Trained:
        def trained(trial: Mapping[str, Any], work: Path) -> Mapping[str, float]:
            from aisle.language.pretraining import pretrain as pretrain_model  # brings torch

            config = PretrainConfig.parse(over(settings, trial), "pretrain")
            target = work / "model"
            shutil.rmtree(target, ignore_errors=True)
            found = pretrain_model(texts, config, work=work, target=target, progress=heard)
            return {"loss": found.loss_after}

        return trained

    there = OnRay(on_ray, training(silent)) if on_ray else None
    return tune(training(progress), space, own, metric="-loss", n_trials=n_trials, progress=progress, on_ray=there)


def _texts_begun_with(folder: Path, gather: Callable[[], Sequence[str]]) -> list[str]:
    """What a search began with, kept in ``folder``; else gathered now, each text once."""
    file = folder / "texts.parquet"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / "texts.new"
        readable = {text.encode("utf-8", "replace").decode("utf-8") for text in gather()}
        pl.DataFrame({"text": sorted(readable)}, schema={"text": pl.String}).write_parquet(new)
        move(new, file)
    return pl.read_parquet(file)["text"].to_list()


def _named(model: str, settings: Mapping[str, Any], varied: Sequence[str], *data: str) -> str:
    """A folder's name for one search: the same model, settings, ranges and data go on with its trials."""
    digest = hashlib.sha256(json.dumps([model, settings, sorted(varied)], sort_keys=True, default=str).encode())
    for one in data:
        digest.update(f"{len(one)}:{one}".encode("utf-8", "replace"))
    return digest.hexdigest()[:16]


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of settings, those of ``above`` taking the place of those in ``below``."""
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = over(known, value)
        merged[name] = value
    return merged
