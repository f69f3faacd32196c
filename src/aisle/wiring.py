"""The composition root: chooses implementations and wires them into the parts that answer requests.

Enters: settings and the record store. Leaves: ``SourceSpec`` for every configured source, and ``Live``. What a shop can
be asked stands in ``shop.py``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aisle import registry
from aisle.contracts import CandidateSource, Clock, EmbeddingStore, Meter, Parts, Progress, RecordStore
from aisle.decision import Eligibility, ItemVectors, ObjectivePolicy
from aisle.domain import Catalogue, Snapshot
from aisle.errors import AisleError, CorruptError, NotReadyError, UnavailableError
from aisle.flows import collect, train
from aisle.flows.stages import Lineup, Stages
from aisle.flows.train import SourceSpec
from aisle.folder import ShopFolder
from aisle.language import RememberingEncoder, open_encoder
from aisle.ranking import FusedScore
from aisle.retrieval.fusion import fuse
from aisle.settings import Settings
from aisle.storage import FolderArtifacts, LiveStates, SlateOutbox

UNTRAINED_ITEMS = 2_000
"""A shop of at most this many items answers before it was ever trained: its indexes are filled when it is opened."""
UNTRAINED_EVENTS = 200_000
"""And of at most this many events: every source reads all of them on opening."""
REPLAYED_EVENTS = 100_000
"""A version trained before more events than this serves without them: taking these in takes some 3 seconds already."""
NEVER_TRAINED = "never trained; run `aisle train SHOP`"

log = logging.getLogger("aisle.shop")


@dataclass(frozen=True)
class Live:
    """The parts that answer requests, loaded once."""

    stages: Stages
    follower: collect.Follower
    parts: Parts
    outbox: SlateOutbox
    refused: dict[str, str] = field(default_factory=dict)
    """Promoted versions that could not be brought in, by part; they are not tried again."""


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
    outbox = SlateOutbox(records)
    lineup = Lineup()
    stages = Stages(
        catalogue=parts.catalogue,
        records=records,
        slates=outbox,
        states=LiveStates(records, parts.catalogue),
        lineup=lineup,
        rules=Eligibility(parts.catalogue, settings.shop.currency),
        fuse=fuse,
        fallback=FusedScore(),
        policy=ObjectivePolicy(parts.catalogue, lambda: item_vectors(lineup.sources.values())),
        placements=settings.placement,
        clock=clock,
        new_slate_id=lambda: uuid.uuid4().hex,
        meter=meter,
    )
    live = Live(stages, collect.Follower(stages, seq), parts, outbox)
    bring_in(list(specs.values()), live, records)
    return live


def item_vectors(sources: Iterable[CandidateSource]) -> ItemVectors | None:
    """The first source that knows items as vectors, by which lists are kept varied."""
    return next((source for source in sources if isinstance(source, ItemVectors)), None)


def bring_in(specs: Sequence[SourceSpec], live: Live, records: RecordStore) -> None:
    """Load sources' promoted versions and put them into service together.

    What cannot serve is named in ``lineup.failures`` with what to run; a version that serves already answers on.

    Raises:
        UnavailableError: the records cannot be read now.
    """
    live.follower.catch_up()
    names: dict[int, SourceSpec] = {}
    joinings: list[collect.Joining] = []
    for spec in specs:
        promoted = spec.artifacts.promoted(spec.name)
        try:
            joining = _made_ready(spec, live, records)
        except UnavailableError:
            raise
        except Exception as error:
            _refuse(live, spec.name, promoted, error)
        else:
            names[id(joining)] = spec
            joinings.append(joining)
    for joining, error in live.follower.join_all(joinings):
        spec = names[id(joining)]
        _refuse(live, spec.name, spec.artifacts.promoted(spec.name), error)


def renew(specs: Iterable[SourceSpec], live: Live, records: RecordStore) -> None:
    """Bring in what was promoted or rolled back by others; costs one small read a source while nothing was."""
    in_service = live.stages.lineup.versions
    changed = [
        spec
        for spec in specs
        if (promoted := spec.artifacts.promoted(spec.name)) is not None
        and promoted not in (in_service.get(spec.name), live.refused.get(spec.name))
    ]
    for spec in changed:
        log.info("%s was trained or rolled back elsewhere; its version is brought in", spec.name)
    if changed:
        bring_in(changed, live, records)


def join(live: Live, trained: train.Trained) -> None:
    """Bring a version up to where the others are and put it into service."""
    joining = _joining(live, trained)
    live.follower.join(joining.part, joining.seq, joining.n_items, joining.put_into_service)


def _made_ready(spec: SourceSpec, live: Live, records: RecordStore) -> collect.Joining:
    """The promoted version of a source, or an empty one in a small shop that was never trained."""
    lineup = live.stages.lineup
    try:
        trained = train.load(spec, live.parts, live.follower.seq)
    except CorruptError as error:
        if not spec.implementation.is_index or spec.name in lineup.versions:
            raise
        log.warning("index %s cannot be used (%s); it is rebuilt from the shop's records", spec.name, error)
        snapshot = records.snapshot()
        live.follower.catch_up()
        trained = train.train_one(spec, snapshot, live.parts)
    if trained:
        n_behind = records.count_since(trained.manifest.data_seq)["events"]
        return _joining(live, trained, n_behind if n_behind > REPLAYED_EVENTS else 0)
    if live.parts.catalogue.n_items > UNTRAINED_ITEMS or records.counts()["events"] > UNTRAINED_EVENTS:
        raise NotReadyError(NEVER_TRAINED, command="aisle train")
    source = spec.implementation.fit(spec.name, Snapshot.empty(), spec.config, live.parts)
    return collect.Joining(source, 0, 0, lambda: lineup.swap(spec.name, source, "untrained"))


def _joining(live: Live, trained: train.Trained, n_spared: int = 0) -> collect.Joining:
    manifest, lineup = trained.manifest, live.stages.lineup
    is_index = trained.source.is_index

    def put_into_service() -> None:
        lineup.swap(manifest.name, trained.source, manifest.version)
        if n_spared and not is_index:
            lineup.note(manifest.name, f"it answers without the last {n_spared:,} events; run `aisle train SHOP`")

    n_items = int(manifest.metrics["n_items"])
    return collect.Joining(trained.source, manifest.data_seq, n_items, put_into_service, is_stale=n_spared > 0)


def _refuse(live: Live, name: str, promoted: str | None, error: Exception) -> None:
    """Note why a version does not serve; the one that does answers on."""
    lineup = live.stages.lineup
    why = str(error)
    if not isinstance(error, AisleError):
        log.error("source %s does not load; the shop answers without it", name, exc_info=error)
        why = f"it does not load ({type(error).__name__}: {error})"
    if promoted is not None:
        live.refused[name] = promoted
    serving = lineup.versions.get(name)
    if serving is None:
        lineup.withdraw(name, why)
    else:
        log.warning("version %s of %s cannot be used: %s", promoted, name, why)
        lineup.note(name, f"version {promoted} cannot be used, version {serving} answers on: {why}")
