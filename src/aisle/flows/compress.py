"""Make the shop's encoder smaller: distil, prune, round; compare with the one that answers; write a version.

Enters: the encoder that answers and the shop's texts and queries. Leaves: a version of the encoder whose manifest holds
what each step cost and gained. Whoever calls makes indexes with it and promotes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aisle.contracts import ArtifactStore, Manifest, Progress, RecordStore
from aisle.domain import Snapshot
from aisle.errors import ConfigError
from aisle.flows.adapt import ENCODER, MODEL
from aisle.flows.text_pairs import gather_pairs
from aisle.flows.train import plain
from aisle.language.compress_config import CompressConfig
from aisle.language.model_folder import open_model_folder
from aisle.settings import EncoderConfig

IS_GOOD_ENOUGH = "is_good_enough"
"""1 where no more of the quality was lost than may be."""
PRECISION = "precision"
"""In a version's config: what its weights are rounded to in service."""
_HELD_OUT_SHARE = 0.1
_MOST_CHECKED = 10_000
"""Texts that are ranked for each query when models are compared."""


def compress(
    config: CompressConfig,
    configured: str | None,
    encoding: EncoderConfig,
    snapshot: Snapshot,
    records: RecordStore,
    texts: Sequence[str],
    artifacts: ArtifactStore,
    work: Path,
    progress: Progress,
) -> Manifest:
    """Make a smaller copy of the encoder that answers.

    Args:
        config: how small, how long, how much may be lost.
        configured: the model that the settings name; versions belong to it.
        encoding: names the model that answers.
        snapshot: items and behaviour.
        records: for what was searched and clicked.
        texts: (n_items,) the items' texts as they are searched.
        artifacts: where versions of the encoder are kept.
        work: for checkpoints of a run that is killed; gone at the end.
        progress: hears of each part.

    Raises:
        ConfigError: the encoder is a server's, or cannot be made smaller in this way.
        NotReadyError: there is nothing to compare by.
        UnavailableError: memory or disk ran out.
    """
    if encoding.kind != "onnx":
        raise ConfigError(
            f'encoder.kind = "{encoding.kind}" cannot be compressed here; take "onnx", which serves what comes of it',
            setting="encoder.kind",
        )
    from aisle.language.compressing import compress as compress_model  # brings torch

    progress("gather pairs of texts", 0, 1)
    learned, held_out = gather_pairs(snapshot, records, texts).parted(_HELD_OUT_SHARE)
    known = set(held_out.rights)
    others = [text for text in dict.fromkeys(texts) if text not in known][: max(0, _MOST_CHECKED - len(known))]
    progress("gather pairs of texts", 1, 1)
    target = work / "model"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    compressed = compress_model(
        open_model_folder(encoding.model),
        texts,
        learned.lefts,
        replace(held_out, rights=[*held_out.rights, *others]),
        config,
        work=work,
        target=target,
        progress=progress,
    )
    metrics = {**compressed.metrics(), IS_GOOD_ENOUGH: float(compressed.is_good_enough)}
    kept = {MODEL: configured, **plain(config), PRECISION: config.precision}
    with artifacts.write(ENCODER, "ModelFolder", data_seq=snapshot.seq, config=kept, metrics=metrics) as draft:
        shutil.copytree(target, draft.folder, dirs_exist_ok=True)
    shutil.rmtree(work)
    return next(one for one in artifacts.versions(ENCODER) if one.version == draft.version)
