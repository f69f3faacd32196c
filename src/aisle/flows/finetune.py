"""Fine-tuned models of a shop: taught from tables of labels, kept as versions, asked about texts.

Enters: labelled tables and settings. Leaves: a promoted version whose manifest holds the figures of texts that were not
learned from.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from aisle.contracts import ArtifactStore, Manifest, Progress
from aisle.errors import ConfigError, NotReadyError
from aisle.flows.train import plain
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import open_model_folder
from aisle.language.self_training_config import SelfTrainingConfig
from aisle.training.workplace import alone

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PREFIX = "text."
"""Before the names of fine-tuned models among the shop's models."""


def finetune(
    name: str,
    tables: Sequence[LabelledTexts],
    tasks: Sequence[TaskConfig],
    config: FinetuneConfig,
    model: str | None,
    encoder: str | None,
    artifacts: ArtifactStore,
    work: Path,
    start_from: str | None,
    progress: Progress,
    unlabelled: Sequence[LabelledTexts],
    self_training: SelfTrainingConfig,
) -> Manifest:
    """Teach a language model labels and let the new version answer.

    Args:
        name: of the model in this shop.
        tables: what people labelled.
        tasks: what to tell.
        config: how.
        model: a folder or name; None for ``encoder``.
        encoder: what the shop's encoder is; None for the packaged one.
        artifacts: where versions are kept.
        work: for checkpoints of a run that is killed.
        start_from: another fine-tuned model of this shop, or a folder of one, to begin from in place of ``model``; or a
            folder of an adapter that was trained on ``model``.
        progress: hears of each part.
        unlabelled: tables of texts that the model labels for itself where it is sure, and learns from too if that is
            better; with them there is one task, where exactly one label is right.
        self_training: how it does that.

    Raises:
        ConfigError: a setting or name is wrong.
        DataError: names the table and row, and what is allowed.
    """
    from aisle.language.finetuning import finetune as finetune_model  # brings torch
    from aisle.language.self_training import self_train
    from aisle.language.text_model import is_text_model

    check_name(name)
    earlier = None if start_from is None else _folder_of(start_from, artifacts)
    if model is not None and earlier is not None and is_text_model(earlier):
        raise ConfigError(
            f"--start-from {start_from} is a fine-tuned model and brings its own language model, so that --model "
            f"{model} would change nothing; leave out either",
            setting="start_from",
        )
    begun = open_model_folder(model or encoder)
    kept = {
        "model": model or encoder,
        "start_from": start_from,
        **plain(config),
        "tasks": [plain(one) for one in tasks],
    }
    named = _PREFIX + name
    if unlabelled:
        kept |= {"self_training": plain(self_training), "unlabelled": [one.source for one in unlabelled]}
        if len(tasks) != 1:
            raise ConfigError(
                f"self-training takes one task, not {', '.join(one.name for one in tasks) or 'none'}; teach them one "
                "by one, or leave out what is unlabelled",
                setting="unlabelled",
            )
    taken = f"another process teaches {name!r} now; wait for it, stop it, or take another name"
    with alone(work, taken):
        target = work / "model"
        shutil.rmtree(target, ignore_errors=True)
        where = {"work": work, "target": target, "start_from": earlier, "progress": progress}
        if not unlabelled:
            found = finetune_model(begun, tables, tasks, config, **where)
            metrics = found.metrics_with_counts()
        else:
            told = self_train(begun, tables, unlabelled, tasks[0], config, self_training, **where)
            metrics = {**told.kept.metrics_with_counts(), **told.metrics()}
        with artifacts.write(named, "TextModel", data_seq=0, config=kept, metrics=metrics) as draft:
            shutil.copytree(target, draft.folder, dirs_exist_ok=True)
        manifest = artifacts.promote(named, draft.version)
        shutil.rmtree(work)
    return manifest


def check_name(name: str) -> None:
    """Before hours of work, whether a model can be called so.

    Raises:
        ConfigError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a fine-tuned model; take letters, digits, '_' and '-', such as opinion",
            setting="name",
        )


def is_kept(version_name: str, artifacts: ArtifactStore) -> bool:
    """Whether this is what the versions of a fine-tuned model are kept under, ``text.NAME``."""
    return version_name.startswith(_PREFIX) and bool(artifacts.versions(version_name))


def kept_as(name: str) -> str:
    """What the versions of the fine-tuned model ``name`` are kept under."""
    return _PREFIX + name


def names_kept(artifacts: ArtifactStore) -> list[str]:
    """The fine-tuned models that answer, in alphabetical order."""
    return [name.removeprefix(_PREFIX) for name in artifacts.names() if name.startswith(_PREFIX)]


def current(name: str, artifacts: ArtifactStore) -> tuple[Path, Manifest]:
    """Where the model ``name`` lies that answers, and what is known of it.

    Raises:
        NotReadyError: there is none.
        CorruptError: it is damaged.
    """
    found = artifacts.current(kept_as(name))
    if found is None:
        raise NotReadyError(
            f"no model {name!r} was fine-tuned in this shop; run `aisle finetune SHOP {name} --table FILE ...`",
            command="aisle finetune",
        )
    return found


def _folder_of(start_from: str, artifacts: ArtifactStore) -> Path:
    try:
        return current(start_from, artifacts)[0]
    except NotReadyError as error:
        if Path(start_from).is_dir():
            return Path(start_from)
        raise ConfigError(
            f"{start_from!r} is neither a fine-tuned model of this shop nor a folder of one; models of another shop "
            f"lie in its folder under models/{_PREFIX}NAME/VERSION",
            setting="start_from",
        ) from error
