"""Teach the encoder this shop: gather pairs, train, compare, write a version, let it answer.

Enters: the records and the model that the settings name. Leaves: a version of the encoder whose manifest holds the
figures before and after on pairs that were not learned. Whoever calls says how it comes to answer.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aisle.contracts import ArtifactStore, Manifest, Progress, RecordStore
from aisle.domain import Snapshot
from aisle.errors import ConfigError
from aisle.flows.finished import finished, note_finished
from aisle.flows.rewriting import ShopRewriter
from aisle.flows.text_pairs import ShopPairs, begun_with, gather_pairs
from aisle.flows.train import plain
from aisle.language.adapt_config import AdaptConfig
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.settings import EncoderConfig
from aisle.training.workplace import alone

ENCODER = "encoder"
"""The name of adapted encoders among the models."""
IS_BETTER = "is_better"
"""1 where the held-out pairs are found better than before, beyond chance."""
MODEL = "model"
"""In a version's config: which model it was adapted from."""


def adapt(
    config: AdaptConfig,
    encoding: EncoderConfig,
    snapshot: Snapshot,
    records: RecordStore,
    texts: Sequence[str],
    artifacts: ArtifactStore,
    rewriter: ShopRewriter,
    work: Path,
    answering: Callable[[Manifest], Manifest],
    progress: Progress,
) -> Manifest:
    """Adapt the configured model, always from its beginning, so that a version depends on the records only.

    Args:
        config: what and how long.
        encoding: names the model.
        snapshot: items and behaviour.
        records: for what was searched and clicked.
        texts: (n_items,) the items' texts as they are searched.
        artifacts: where versions of the encoder are kept.
        rewriter: for other ways to write texts, where ``config`` asks for them.
        work: for what a run that is killed goes on from; gone once ``answering`` returned.
        answering: makes indexes with the version and promotes it, or decides against it.
        progress: hears of each part.

    Raises:
        ConfigError: the encoder is a server's; or texts are to be rewritten and no chat model is of use.
        NotReadyError: too few pairs.
        UnavailableError: memory or disk ran out, or the chat model does not answer.
    """
    if encoding.kind == "openai":
        raise ConfigError(
            'encoder.kind = "openai" is a server\'s model, which cannot be adapted here; take "onnx" or "transformers"',
            setting="encoder.kind",
        )
    model = open_model_folder(encoding.model)
    with alone(work, "another process adapts this encoder now; wait for it, or stop it"):
        own = work / hashlib.sha256(f"{model.digest}\n{config.model_dump_json()}".encode()).hexdigest()[:16]
        for earlier in set(work.glob("*")) - {own}:
            shutil.rmtree(earlier)
        kept = {MODEL: encoding.model, **plain(config)}
        manifest = finished(own, ENCODER, kept, artifacts)
        if manifest is None:
            progress("gather pairs of texts", 0, 1)
            pairs = begun_with(own, lambda: gather_pairs(snapshot, records, texts, config.most_pairs))
            progress("gather pairs of texts", 1, 1)
            metrics = _learned(model, pairs, config, rewriter, own, progress)
            with artifacts.write(ENCODER, "ModelFolder", data_seq=snapshot.seq, config=kept, metrics=metrics) as draft:
                shutil.copytree(own / "model", draft.folder, dirs_exist_ok=True)
                for logs in own.glob("*/logs"):
                    shutil.copytree(logs, draft.folder / "logs" / logs.parent.name)
            note_finished(own, draft.version)
            manifest = next(one for one in artifacts.versions(ENCODER) if one.version == draft.version)
        manifest = answering(manifest)
        shutil.rmtree(work)
    return manifest


def _learned(
    model: ModelFolder, pairs: ShopPairs, config: AdaptConfig, rewriter: ShopRewriter, own: Path, progress: Progress
) -> Mapping[str, float]:
    """Train into ``own/model``; the metrics of the version."""
    from aisle.language.adapting import adapt as adapt_model  # brings torch
    from aisle.language.adapting import require_possible

    learned, held_out = pairs.parted(config.validation_share)
    require_possible(learned, held_out, config)
    rewritten = rewriter.begun_with(own, config, learned, pairs.texts)
    target = own / "model"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    compared = adapt_model(
        model,
        learned,
        held_out,
        pairs.readable(config.validation_share),
        config,
        work=own,
        target=target,
        rewritten=rewritten.ways,
        progress=progress,
    )
    return {**compared.metrics(), **pairs.counts(), **rewritten.metrics, IS_BETTER: float(compared.is_better)}
