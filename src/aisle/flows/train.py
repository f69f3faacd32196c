"""Fit the sources on a snapshot, write each down as a version, and put it into service.

A version is promoted only after it was read back from its files: what serves tomorrow is what was checked today.
Serving goes on meanwhile; the old version answers until the moment of the swap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aisle.contracts import ArtifactStore, CandidateSource, Manifest, Parts, RecordStore
from aisle.domain import Snapshot
from aisle.errors import DataError, NotReadyError
from aisle.settings import Config


@dataclass(frozen=True)
class SourceSpec:
    """One configured source: its name, its class, its checked config, where its versions are kept."""

    name: str
    implementation: type[CandidateSource]
    config: Config
    artifacts: ArtifactStore


@dataclass(frozen=True)
class Trained:
    """A version that was fitted, written, read back and promoted."""

    manifest: Manifest
    source: CandidateSource


def train(
    specs: Sequence[SourceSpec],
    records: RecordStore,
    parts: Parts,
    on_trained: Callable[[Trained], None] = lambda trained: None,
) -> list[Manifest]:
    """Fit, write and promote every source of ``specs``; ``on_trained`` puts each into service.

    Raises:
        NotReadyError: there is nothing to learn from.
    """
    snapshot = records.snapshot()
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
        metrics={"n_items": float(snapshot.n_items), "n_interactions": float(snapshot.interactions.height)},
    ) as folder:
        source.save(folder)
        read_back = spec.implementation.load(spec.name, folder, spec.config, parts)
    return Trained(spec.artifacts.promote(spec.name), read_back)


def load(spec: SourceSpec, parts: Parts) -> Trained | None:
    """The promoted version of a source, or None when there is none.

    Raises:
        CorruptError: a file is damaged.
        DataError: the version was fitted with another config than today's; it must be trained again.
    """
    found = spec.artifacts.current(spec.name)
    if found is None:
        return None
    folder, manifest = found
    if dict(manifest.config) != plain(spec.config):
        raise DataError(
            f"source {spec.name!r} was trained with other settings than aisle.toml has now; "
            f"run `aisle train --source {spec.name}`",
            source=spec.name,
        )
    return Trained(manifest, spec.implementation.load(spec.name, folder, spec.config, parts))


def plain(config: Config) -> Mapping[str, Any]:
    """A config as JSON values."""
    return config.model_dump(mode="json")
