"""Fit the sources on a snapshot, write each down as a version, and put it into service.

A version is promoted only after it was read back from its files: what serves tomorrow is what was checked today.
Serving goes on meanwhile; the old version answers until the moment of the swap.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aisle.contracts import ArtifactStore, LivePart, Manifest, Parts
from aisle.domain import Catalogue, Snapshot
from aisle.errors import CorruptError, DataError, NotReadyError
from aisle.settings import Config

ITEM_IDS_CHECKSUM = "item_ids_checksum"
"""Tells whether a version's item rows still mean the items that it was fitted on."""


@dataclass(frozen=True)
class SourceSpec:
    """One source, or the statistics: its name, its class, its checked config, where its versions are kept."""

    name: str
    implementation: type[Any]
    """A ``contracts.LivePart``."""
    config: Config
    artifacts: ArtifactStore


@dataclass(frozen=True)
class Trained:
    """A version that was fitted, written, read back and promoted."""

    manifest: Manifest
    source: LivePart


def train(
    specs: Sequence[SourceSpec],
    snapshot: Snapshot,
    parts: Parts,
    on_trained: Callable[[Trained], None] = lambda trained: None,
) -> list[Manifest]:
    """Fit, write and promote every source of ``specs``; ``on_trained`` puts each into service.

    ``parts.catalogue`` numbers the snapshot's items as the snapshot does (``is_numbered_alike``); more may follow.

    Raises:
        NotReadyError: there is nothing to learn from.
    """
    if not snapshot.n_items:
        raise NotReadyError("the shop has no items; bring a catalogue in first: `aisle import`", command="aisle import")
    manifests = []
    for done, spec in enumerate(specs):
        parts.progress(f"train {spec.name}", done, len(specs))
        trained = train_one(spec, snapshot, parts)
        manifests.append(trained.manifest)
        on_trained(trained)
    parts.progress("train", len(specs), len(specs))
    return manifests


def train_one(spec: SourceSpec, snapshot: Snapshot, parts: Parts) -> Trained:
    """Fit, write, read back, promote one source."""
    source = spec.implementation.fit(spec.name, snapshot, spec.config, parts)
    with spec.artifacts.write(
        spec.name,
        spec.implementation.__name__,
        data_seq=snapshot.seq,
        config=plain(spec.config),
        metrics={
            "n_items": float(snapshot.n_items),
            "n_interactions": float(snapshot.interactions.height),
            ITEM_IDS_CHECKSUM: checksum(snapshot.items.frame["item_id"]),
        },
    ) as draft:
        source.save(draft.folder)
        read_back = spec.implementation.load(spec.name, draft.folder, spec.config, parts)
    # By its name: another process may be training the same source, and its version may be newer by now.
    return Trained(spec.artifacts.promote(spec.name, draft.version), read_back)


def load(spec: SourceSpec, parts: Parts, seq: int) -> Trained | None:
    """The promoted version of a source, or None when there is none. ``seq`` is where the records are.

    Raises:
        CorruptError: a file is damaged, or the version was fitted on other records than these.
        DataError: the version was fitted with another config than today's; it must be trained again.
    """
    found = spec.artifacts.current(spec.name)
    if found is None:
        return None
    folder, manifest = found
    if manifest.data_seq > seq or not fits(manifest, parts.catalogue):
        raise CorruptError(
            f"source {spec.name!r}, version {manifest.version}, was trained on other records than this shop has now "
            "(was shop.db restored from a backup, or the version copied from elsewhere?); "
            f"run `aisle train SHOP --source {spec.name}`",
            path=str(folder),
        )
    if manifest.kind != spec.implementation.__name__ or dict(manifest.config) != plain(spec.config):
        raise DataError(
            f"source {spec.name!r} was trained with other settings than aisle.toml has now; "
            f"run `aisle train SHOP --source {spec.name}`",
            source=spec.name,
        )
    return Trained(manifest, spec.implementation.load(spec.name, folder, spec.config, parts))


def fits(manifest: Manifest, catalogue: Catalogue) -> bool:
    """Whether a version's item rows mean the same items in ``catalogue``. Cost O(n_items), about 0.1 s a million."""
    n_items = int(manifest.metrics["n_items"])
    known = catalogue.item_ids[:n_items]
    return len(known) == n_items and checksum(known) == manifest.metrics.get(ITEM_IDS_CHECKSUM)


def is_numbered_alike(snapshot: Snapshot, catalogue: Catalogue) -> bool:
    """Whether every item row of ``snapshot`` is the same item in ``catalogue``."""
    return snapshot.items.frame["item_id"].to_list() == catalogue.item_ids[: snapshot.n_items]


def checksum(item_ids: Iterable[str]) -> float:
    """A number that changes when ids or their order do: CRC-32, exact in a float."""
    return float(zlib.crc32("\n".join(item_ids).encode()))


def plain(config: Config) -> Mapping[str, Any]:
    """A config as JSON values."""
    return config.model_dump(mode="json")
