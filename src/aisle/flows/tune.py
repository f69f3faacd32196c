"""Search over the settings of a training that the shop's records feed.

Enters: records, the configured model, ranges. Leaves: trials, best first; no version is written and nothing changes in
the shop but the folder of trials.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aisle.contracts import Progress, RecordStore
from aisle.domain import Snapshot
from aisle.flows.rewriting import ShopRewriter
from aisle.flows.text_pairs import gather_pairs
from aisle.language.adapt_config import AdaptConfig
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import open_model_folder
from aisle.settings import EncoderConfig
from aisle.training.tuning import Tuned, parse_space, tune

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

    Raises:
        ConfigError: a range or a setting is wrong.
        NotReadyError: too few pairs.
    """
    space = parse_space(varied)
    model = open_model_folder(encoding.model)
    fixed = AdaptConfig.parse(settings, "adapt")
    pairs = gather_pairs(snapshot, records, texts).at_most(fixed.most_pairs)
    learned, held_out = pairs.parted(fixed.validation_share)

    def trained(trial: Mapping[str, Any], work: Path) -> Mapping[str, float]:
        from aisle.language.adapting import adapt as adapt_model  # brings torch
        from aisle.language.adapting import require_possible

        config = AdaptConfig.parse(over(settings, trial), "adapt")
        require_possible(learned, held_out, config)
        rewritten, _ = rewriter.rewritten(config, learned, texts)
        target = work / "model"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        return adapt_model(
            model,
            learned,
            held_out,
            texts,
            config,
            work=work,
            target=target,
            rewritten=rewritten,
            progress=progress,
        ).after.means()

    return tune(trained, space, folder, metric=METRIC, n_trials=n_trials, progress=progress)


def tune_finetune(
    settings: Mapping[str, Any],
    model: str | None,
    tables: Sequence[LabelledTexts],
    tasks: Sequence[TaskConfig],
    varied: Sequence[str],
    n_trials: int,
    folder: Path,
    progress: Progress,
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

    Raises:
        ConfigError: a range or a setting is wrong.
        DataError: names the table and row, and what is allowed.
    """
    space, opened = parse_space(varied), open_model_folder(model)
    metric = FinetuneConfig.parse(settings, "finetune").metric

    def trained(trial: Mapping[str, Any], work: Path) -> Mapping[str, float]:
        from aisle.language.finetuning import finetune as finetune_model  # brings torch

        config = FinetuneConfig.parse(over(settings, trial), "finetune")
        target = work / "model"
        shutil.rmtree(target, ignore_errors=True)
        found = finetune_model(opened, tables, tasks, config, work=work, target=target, progress=progress)
        return {name: value for name, value in found.metrics.items() if "/" not in name}

    told = f"-{metric}" if metric == "log_loss" else metric
    return tune(trained, space, folder, metric=told, n_trials=n_trials, progress=progress)


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of settings, those of ``above`` taking the place of those in ``below``."""
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = over(known, value)
        merged[name] = value
    return merged
