"""Make the shop's encoder smaller: distil, prune, round; compare with the one that answers; write a version.

Enters: the encoder that answers and the shop's texts and queries. Leaves: a version of the encoder whose manifest holds
what each step cost and gained. Whoever calls says how it comes to answer.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aisle.contracts import ArtifactStore, Manifest, Progress, RecordStore
from aisle.domain import Snapshot
from aisle.errors import ConfigError
from aisle.flows.adapt import ENCODER, MODEL
from aisle.flows.finished import finished, note_finished
from aisle.flows.text_pairs import ShopPairs, begun_with, gather_pairs
from aisle.flows.train import plain
from aisle.language.adapt_config import AdaptConfig
from aisle.language.compress_config import CompressConfig
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.settings import EncoderConfig
from aisle.storage.artifacts import MANIFEST
from aisle.training.workplace import alone

IS_GOOD_ENOUGH = "is_good_enough"
"""1 where no more of the quality was lost than may be."""
PRECISION = "precision"
"""In a version's config: what its weights are rounded to in service. Only versions of this flow have it."""
LARGE = "large"
"""In a version's config: the version of the encoder that it was made smaller from; None for the configured model."""
_MOST_CHECKED = 10_000
"""Texts that are ranked for each query when models are compared."""


def compress(
    config: CompressConfig,
    configured: str | None,
    large: tuple[EncoderConfig, str | None],
    like: AdaptConfig,
    snapshot: Snapshot,
    records: RecordStore,
    texts: Sequence[str],
    artifacts: ArtifactStore,
    work: Path,
    answering: Callable[[Manifest], Manifest],
    progress: Progress,
) -> Manifest:
    """Make a smaller copy of the encoder that answers.

    Args:
        config: how small, how long, how much may be lost.
        configured: the model that the settings name; versions belong to it.
        large: names the model that answers, and its version.
        like: says how many pairs are read and which are held out to compare models by: those that the large model's own
            adaptation held out, which knows the others.
        snapshot: items and behaviour.
        records: for what was searched and clicked.
        texts: (n_items,) the items' texts as they are searched.
        artifacts: where versions of the encoder are kept.
        work: for what a run that is killed goes on from; gone once ``answering`` returned.
        answering: makes indexes with the version and promotes it, or decides against it.
        progress: hears of each part.

    Raises:
        ConfigError: the encoder is a server's, or cannot be made smaller in this way.
        NotReadyError: there is nothing to compare by.
        UnavailableError: memory or disk ran out.
    """
    encoding, version = large
    if encoding.kind != "onnx":
        raise ConfigError(
            f'encoder.kind = "{encoding.kind}" cannot be compressed here; take "onnx", which serves what comes of it',
            setting="encoder.kind",
        )
    from aisle.language.compressing import work_of  # brings torch

    folder = open_model_folder(encoding.model)
    with alone(work, "another process compresses this encoder now; wait for it, or stop it"):
        own = work / work_of(folder, config)
        for earlier in set(work.glob("*")) - {own}:
            shutil.rmtree(earlier)
        kept = {MODEL: configured, LARGE: version, **plain(config), PRECISION: config.precision}
        manifest = finished(own, ENCODER, kept, artifacts)
        if manifest is None:
            progress("gather pairs of texts", 0, 1)
            pairs = begun_with(own, lambda: gather_pairs(snapshot, records, texts, like.most_pairs))
            progress("gather pairs of texts", 1, 1)
            metrics = _made_smaller(folder, pairs, like.validation_share, config, own, progress)
            with artifacts.write(ENCODER, "ModelFolder", data_seq=snapshot.seq, config=kept, metrics=metrics) as draft:
                # where the large model is a version itself, its manifest lies beside its files
                ignored = shutil.ignore_patterns(MANIFEST, "logs")
                shutil.copytree(own / "model", draft.folder, dirs_exist_ok=True, ignore=ignored)
                for logs in own.glob("*/logs"):
                    shutil.copytree(logs, draft.folder / "logs" / logs.parent.name)
            note_finished(own, draft.version)
            manifest = next(one for one in artifacts.versions(ENCODER) if one.version == draft.version)
        manifest = answering(manifest)
        shutil.rmtree(work)
    return manifest


def _made_smaller(
    folder: ModelFolder, pairs: ShopPairs, held_out_share: float, config: CompressConfig, own: Path, progress: Progress
) -> Mapping[str, float]:
    """Make the smaller model in ``own/model``; the metrics of the version."""
    from aisle.language.compressing import compress as compress_model  # brings torch

    learned, held_out = pairs.parted(held_out_share)
    assert learned.is_query is not None  # as pairs of a shop tell
    queries = [learned.lefts[row] for row in np.flatnonzero(learned.is_query).tolist()]
    known = set(held_out.rights)
    others = [text for text in dict.fromkeys(pairs.texts) if text not in known]
    searched = [*held_out.rights, *others[: max(0, _MOST_CHECKED - len(known))]]
    target = own / "model"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    compressed = compress_model(
        folder,
        pairs.texts,
        queries,
        replace(held_out, rights=searched),
        config,
        work=own,
        target=target,
        progress=progress,
    )
    return {**compressed.metrics(), IS_GOOD_ENOUGH: float(compressed.is_good_enough)}
