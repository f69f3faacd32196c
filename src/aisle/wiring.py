"""The composition root: chooses implementations and wires them into the parts that answer requests.

Enters: settings and the record store. Leaves: ``SourceSpec`` for every configured source, and ``Live``. What a shop can
be asked stands in ``shop.py``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aisle import registry
from aisle.contracts import Clock, EmbeddingStore, Meter, Parts, Progress, RecordStore
from aisle.decision import Eligibility, Greedy
from aisle.domain import Catalogue, Snapshot
from aisle.errors import AisleError, CorruptError, NotReadyError
from aisle.flows import collect, train
from aisle.flows.stages import Lineup, Stages
from aisle.flows.train import SourceSpec
from aisle.folder import ShopFolder
from aisle.language import RememberingEncoder, open_encoder
from aisle.ranking import FusedScore
from aisle.retrieval.fusion import fuse
from aisle.settings import Settings
from aisle.storage import FolderArtifacts, LiveStates

UNTRAINED_ITEMS = 2_000
"""A shop of at most this many items answers before it was ever trained: its indexes are filled when it is opened."""
UNTRAINED_EVENTS = 200_000
"""And of at most this many events: every source reads all of them on opening."""

log = logging.getLogger("aisle.shop")


@dataclass(frozen=True)
class Live:
    """The parts that answer requests, loaded once."""

    stages: Stages
    follower: collect.Follower
    parts: Parts


def source_specs(folder: ShopFolder, settings: Settings, clock: Clock) -> dict[str, SourceSpec]:
    """Every source that a placement or a ``[source.*]`` table names, with its class found and its config checked."""
    named = [name for config in settings.placement.values() for name in (*config.sources, *config.backfill)]
    indexes, models = FolderArtifacts(folder.indexes, clock=clock), FolderArtifacts(folder.models, clock=clock)
    specs: dict[str, SourceSpec] = {}
    for name in dict.fromkeys([*named, *settings.source]):
        table = dict(settings.source.get(name, {}))
        implementation = registry.find("aisle.sources", table.pop("kind", name))
        config = implementation.Config.parse(table, f"source.{name}")
        specs[name] = SourceSpec(name, implementation, config, indexes if implementation.is_index else models)
    return specs


def load_parts(
    settings: Settings, records: RecordStore, embeddings: EmbeddingStore, clock: Clock, progress: Progress
) -> Parts:
    """The catalogue as recorded now, and the configured encoder, which remembers items' texts but no queries."""
    catalogue = Catalogue()
    for page in records.read_catalogue():
        catalogue.extend(page)
    encoder = open_encoder(settings.encoder, progress=progress)
    return Parts(
        catalogue=catalogue,
        clock=clock,
        encoder=RememberingEncoder(encoder, embeddings),
        query_encoder=encoder,
        progress=progress,
    )


def go_live(
    settings: Settings,
    specs: Mapping[str, SourceSpec],
    records: RecordStore,
    load: Callable[[], Parts],
    clock: Clock,
    meter: Meter,
) -> Live:
    """Wire the stages of a request and bring every source into service."""
    seq = records.counts()["seq"]  # read before the catalogue, so that the feed repeats items rather than skips them
    parts = load()
    stages = Stages(
        catalogue=parts.catalogue,
        records=records,
        states=LiveStates(records, parts.catalogue),
        lineup=Lineup(),
        rules=Eligibility(parts.catalogue, settings.shop.currency),
        fuse=fuse,
        fallback=FusedScore(),
        policy=Greedy(parts.catalogue),
        placements=settings.placement,
        clock=clock,
        new_slate_id=lambda: uuid.uuid4().hex,
        meter=meter,
    )
    live = Live(stages, collect.Follower(stages, seq), parts)
    for spec in specs.values():
        bring_in(spec, live, records)
    return live


def bring_in(spec: SourceSpec, live: Live, records: RecordStore) -> None:
    """Load a source's promoted version; what cannot serve is named in ``lineup.failures`` with what to run."""
    try:
        _join_promoted(spec, live, records)
    except AisleError as error:
        live.stages.lineup.withdraw(spec.name, str(error))
    except Exception as error:
        log.exception("source %s does not load; the shop answers without it", spec.name)
        live.stages.lineup.withdraw(spec.name, f"it does not load ({type(error).__name__}: {error})")


def join(live: Live, trained: train.Trained) -> None:
    """Bring a version up to where the others are and put it into service."""
    manifest = trained.manifest
    live.follower.join(
        trained.source,
        manifest.data_seq,
        int(manifest.metrics["n_items"]),
        lambda: live.stages.lineup.swap(manifest.name, trained.source, manifest.version),
    )


def _join_promoted(spec: SourceSpec, live: Live, records: RecordStore) -> None:
    try:
        trained = train.load(spec, live.parts, live.follower.seq)
    except CorruptError as error:
        if not spec.implementation.is_index:
            raise
        log.warning("index %s cannot be used (%s); it is rebuilt from the shop's records", spec.name, error)
        snapshot = records.snapshot()
        live.follower.catch_up()
        trained = train.train_one(spec, snapshot, live.parts)
    if trained:
        join(live, trained)
    elif live.parts.catalogue.n_items <= UNTRAINED_ITEMS and records.counts()["events"] <= UNTRAINED_EVENTS:
        source = spec.implementation.fit(spec.name, Snapshot.empty(), spec.config, live.parts)
        live.follower.join(source, 0, 0, lambda: live.stages.lineup.swap(spec.name, source, "untrained"))
    else:
        raise NotReadyError("never trained; run `aisle train SHOP`", command="aisle train")
