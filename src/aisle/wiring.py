"""The composition root: chooses implementations and wires them into the parts that answer requests.

Enters: settings and the record store. Leaves: ``SourceSpec`` for every configured source, and ``Live``. What a shop can
be asked stands in ``shop.py``.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from aisle import registry
from aisle.contracts import (
    ArtifactStore,
    Clock,
    EmbeddingStore,
    LivePart,
    Manifest,
    Meter,
    Parts,
    Progress,
    RecordStore,
)
from aisle.decision import Eligibility, ObjectivePolicy
from aisle.domain import Catalogue, Snapshot
from aisle.errors import AisleError, ConfigError, CorruptError, DataError, NotReadyError, UnavailableError
from aisle.flows import collect, compress, train
from aisle.flows.adapt import ENCODER, MODEL
from aisle.flows.rank_training import NamedVersion, RankerSpec, load_ranker
from aisle.flows.stages import RANKER, STATISTICS, UNDERSTANDING, Lineup, Stages, known_statistics
from aisle.flows.train import SourceSpec
from aisle.folder import ShopFolder
from aisle.language import RememberingEncoder, for_many, open_encoder
from aisle.language.retrieval_check import NEAR_ENOUGH
from aisle.merchandising import CompiledRules
from aisle.ranking import FusedScore, ItemStatistics, StatisticsConfig
from aisle.retrieval.fusion import fuse
from aisle.retrieval.semantic import SemanticConfig
from aisle.settings import EncoderConfig, PlacementConfig, Settings
from aisle.storage import FolderArtifacts, LiveStates, SlateOutbox
from aisle.understanding import ItemWordsReader, UnderstandingConfig

UNTRAINED_ITEMS = 2_000
"""A shop of at most this many items answers before it was ever trained: its indexes are filled when it is opened."""
UNTRAINED_EVENTS = 200_000
"""And of at most this many events: every source reads all of them on opening."""
REPLAYED_EVENTS = 100_000
"""A version trained before more events than this serves without them: taking these in takes some 3 seconds already."""
TRY_AGAIN_SECONDS = 60.0
"""After which a version that did not load is tried again, if the reason may pass, such as too many open files."""
_NEVER = float("inf")
NEVER_TRAINED = "never trained; run `aisle train SHOP`"

CONFIGURED = "configured"
"""What the model that the settings name is called where versions of the encoder are."""

log = logging.getLogger("aisle.shop")


@dataclass(frozen=True)
class Refused:
    """A version that could not be brought in."""

    version: str
    why: str
    try_again_at: float
    """On the clock of ``time.monotonic``; for ever if the version itself is wrong."""


@dataclass(frozen=True)
class Encoding:
    """An encoder to open."""

    config: EncoderConfig
    version: str | None = None
    """Which version of ``aisle adapt`` or ``aisle compress`` it is; None: the configured model itself."""
    near_enough: float = Parts.near_enough
    """See ``contracts.Parts``."""


@dataclass(frozen=True)
class Live:
    """The parts that answer requests, loaded once."""

    stages: Stages
    follower: collect.Follower
    parts: Parts
    refused: dict[str, Refused] = field(default_factory=dict)
    """Promoted versions that could not be brought in, by part."""

    def is_refused(self, name: str, promoted: str) -> bool:
        """Whether a version could not be brought in and is not to be tried again yet."""
        refused = self.refused.get(name)
        return refused is not None and refused.version == promoted and time.monotonic() < refused.try_again_at


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
    for name in (STATISTICS, UNDERSTANDING, RANKER, ENCODER):
        if name in specs:
            raise ConfigError(f"a source may not be called {name!r}; name it otherwise", setting=f"source.{name}")
    reading = UnderstandingConfig.parse(settings.understanding, UNDERSTANDING)
    specs[UNDERSTANDING] = SourceSpec(UNDERSTANDING, ItemWordsReader, reading, indexes)
    sources = tuple(name for name in specs if name != UNDERSTANDING)
    specs[STATISTICS] = SourceSpec(STATISTICS, ItemStatistics, StatisticsConfig(sources=sources), indexes)
    return specs


def ranker_spec(folder: ShopFolder, settings: Settings, clock: Clock) -> RankerSpec:
    """The ranker that ``[ranker]`` names, with its class found and its config checked."""
    table = dict(settings.ranker)
    implementation = registry.find("aisle.rankers", table.pop("kind", "boosted_trees"))
    config = implementation.Config.parse(table, RANKER)
    return RankerSpec(RANKER, implementation, config, FolderArtifacts(folder.models, clock=clock))


def load_parts(
    settings: Settings,
    encoding: Encoding,
    records: RecordStore,
    embeddings: EmbeddingStore,
    clock: Clock,
    progress: Progress,
) -> Parts:
    """The catalogue as recorded now, an encoder that remembers items' texts, and one for queries."""
    catalogue = read_catalogue(records)
    config = encoding.config
    encoder = query_encoder = open_encoder(config, progress=progress)
    if config.kind == "onnx" and config.query_precision != config.precision:
        of_queries = config.model_copy(update={"precision": config.query_precision})
        query_encoder = open_encoder(of_queries, progress=progress)
    return Parts(
        catalogue=catalogue,
        clock=clock,
        encoder=RememberingEncoder(for_many(encoder, config), embeddings),
        query_encoder=query_encoder,
        encoder_version=encoding.version,
        near_enough=encoding.near_enough,
        progress=progress,
        currency=settings.shop.currency,
    )


def read_catalogue(records: RecordStore) -> Catalogue:
    """The items as recorded now."""
    catalogue = Catalogue()
    for page in records.read_catalogue():
        catalogue.extend(page)
    return catalogue


def adapted_encoding(config: EncoderConfig, artifacts: ArtifactStore) -> Encoding:
    """The encoder to open: the version that was promoted, or the configured model where there is none.

    Raises:
        CorruptError: the promoted version is damaged.
    """
    if not config.adapted or config.kind == "openai":
        return Encoding(config)
    found = artifacts.current(ENCODER)
    if found is None:
        return Encoding(config)
    folder, manifest = found
    if manifest.config.get(MODEL) != config.model:
        log.warning(
            "version %s of the encoder was adapted from %s, the settings name %s, which answers as it is; run "
            "`aisle adapt SHOP`",
            manifest.version,
            manifest.config.get(MODEL),
            config.model,
        )
        return Encoding(config)
    return served(config, folder, manifest)


def by_meaning(specs: Mapping[str, SourceSpec]) -> list[SourceSpec]:
    """The sources whose indexes the encoder makes."""
    return [spec for spec in specs.values() if isinstance(spec.config, SemanticConfig)]


def served(config: EncoderConfig, folder: Path, manifest: Manifest) -> Encoding:
    """How a version of the encoder is opened: as configured, but for what the version itself decides."""
    changed: dict[str, Any] = {"model": str(folder)}
    precision = manifest.config.get(compress.PRECISION)
    if precision is not None:
        changed |= {"precision": precision, "query_precision": precision}
    near_enough = manifest.metrics.get(NEAR_ENOUGH, Parts.near_enough)
    return Encoding(config.model_copy(update=changed), manifest.version, near_enough)


def placements_for(settings: Settings, specs: Mapping[str, SourceSpec], parts: Parts) -> Mapping[str, PlacementConfig]:
    """The placements, with floors of sources by meaning that name no least cosine set to what the encoder says."""
    semantic = {spec.name for spec in by_meaning(specs)}

    def of(placement: PlacementConfig) -> PlacementConfig:
        floors = {
            name: floor.model_copy(update={"least": parts.near_enough})
            if name in semantic and floor.least is None
            else floor
            for name, floor in placement.fusion.floors.items()
        }
        return placement.model_copy(update={"fusion": placement.fusion.model_copy(update={"floors": floors})})

    return {name: of(placement) for name, placement in settings.placement.items()}


def go_live(
    settings: Settings,
    specs: Mapping[str, SourceSpec],
    records: RecordStore,
    outbox: SlateOutbox,
    load: Callable[[], Parts],
    clock: Clock,
    meter: Meter,
    catch_up: Callable[[], None],
    published_rules: Callable[[], CompiledRules],
) -> Live:
    """Wire the stages of a request and bring every source into service; ``catch_up`` is called before every answer."""
    seq = records.counts()["seq"]  # read before the catalogue, so that the feed repeats items rather than skips them
    parts = load()
    lineup = Lineup()
    stages = Stages(
        catalogue=parts.catalogue,
        records=records,
        slates=outbox,
        states=LiveStates(records, parts.catalogue),
        lineup=lineup,
        rules=Eligibility(
            parts.catalogue, settings.shop.currency, lambda rows: known_statistics(lineup).mean_ratings(rows)
        ),
        currency=settings.shop.currency,
        fuse=fuse,
        fallback=FusedScore(),
        policy=ObjectivePolicy(parts.catalogue, lambda: lineup.in_service.item_vectors),
        placements=placements_for(settings, specs, parts),
        clock=clock,
        new_slate_id=lambda: uuid.uuid4().hex,
        meter=meter,
        catch_up=catch_up,
        published_rules=published_rules,
    )
    live = Live(stages, collect.Follower(stages, seq), parts)
    bring_in(list(specs.values()), live, records)
    return live


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
        if (promoted := spec.artifacts.promoted(spec.name)) not in (None, in_service.get(spec.name))
        and not live.is_refused(spec.name, promoted)
    ]
    for spec in changed:
        log.info("%s was trained or rolled back elsewhere, or did not load; its version is brought in", spec.name)
    if changed:
        bring_in(changed, live, records)


def bring_in_ranker(spec: RankerSpec, live: Live) -> None:
    """Put the promoted ranker into service, if there is one; why it cannot serve is named as for sources."""
    promoted = spec.artifacts.promoted(spec.name)
    try:
        found = load_ranker(spec, live.parts)
    except Exception as error:
        _refuse(live, spec.name, promoted, error)
    else:
        if found:
            manifest, ranker = found
            live.stages.lineup.swap_ranker(NamedVersion.of(manifest, ranker), manifest.version)


def renew_ranker(spec: RankerSpec, live: Live) -> None:
    """Bring in a ranker that was promoted or rolled back by others."""
    promoted = spec.artifacts.promoted(spec.name)
    in_service = live.stages.lineup.versions.get(spec.name)
    if promoted not in (None, in_service) and not live.is_refused(spec.name, promoted):
        bring_in_ranker(spec, live)


def inspect(specs: Iterable[SourceSpec], parts: Parts, records: RecordStore) -> tuple[dict[str, str], list[str]]:
    """Load every promoted version and let it go again, nothing is taken in: what is wrong, by source, and who loads."""
    seq = records.counts()["seq"]
    failures: dict[str, str] = {}
    loaded: list[str] = []
    for spec in specs:
        try:
            trained = train.load(spec, parts, seq)
        except Exception as error:
            failures[spec.name] = _why(spec.name, error)
            continue
        if trained:
            loaded.append(spec.name)
            n_behind = records.count_since(trained.manifest.data_seq)["events"]
            if n_behind > REPLAYED_EVENTS and _learns_from_events(spec.name, spec.implementation):
                failures[spec.name] = _behind(n_behind)
        elif not _is_small(parts.catalogue, records):
            failures[spec.name] = NEVER_TRAINED
    return failures, loaded


def inspect_ranker(spec: RankerSpec, parts: Parts) -> dict[str, str]:
    """Load the promoted ranker and let it go again: what is wrong, by name."""
    try:
        load_ranker(spec, parts)
    except Exception as error:
        return {spec.name: _why(spec.name, error)}
    return {}


def with_version(
    name: str,
    version: str,
    live: Live,
    specs: Mapping[str, SourceSpec],
    ranker: RankerSpec,
    settings: Settings,
    parts_with: Callable[[Encoding], Parts],
) -> Stages:
    """The stages of ``live`` with another version of one model, caught up; nothing is promoted or written.

    Of the encoder the sources by meaning are fitted in memory; its version ``CONFIGURED`` is the configured model
    itself. A version is opened with the settings that it was trained with.

    Raises:
        NotReadyError: no such version is kept.
        CorruptError, DataError: it cannot be used with the shop as it is now.
    """
    lineup = Lineup()
    lineup.in_service = live.stages.lineup.in_service
    rules = Eligibility(
        live.parts.catalogue, settings.shop.currency, lambda rows: known_statistics(lineup).mean_ratings(rows)
    )
    policy = ObjectivePolicy(live.parts.catalogue, lambda: lineup.in_service.item_vectors)
    stages = replace(live.stages, lineup=lineup, rules=rules, policy=policy)
    if name == ENCODER:
        encoding = Encoding(settings.encoder)
        if version != CONFIGURED:
            encoding = served(settings.encoder, *ranker.artifacts.open(name, version))
        parts = replace(parts_with(encoding), catalogue=live.parts.catalogue)
        snapshot = live.stages.records.snapshot()
        for spec in by_meaning(specs):
            part = spec.implementation.fit(spec.name, snapshot, spec.config, parts)
            put = partial(_swap, lineup, spec.name, part, f"{name} {version}")
            live.follower.join(part, snapshot.seq, snapshot.n_items, put)
        return replace(stages, placements=placements_for(settings, specs, parts))
    spec = ranker if name == RANKER else specs[name]
    folder, manifest = spec.artifacts.open(name, version)
    if manifest.kind != spec.implementation.__name__:
        raise DataError(
            f"version {version} of {name!r} is a {manifest.kind}, and the settings name "
            f"{spec.implementation.__name__}; set its kind again to compare it",
            source=name,
        )
    config = spec.implementation.Config.parse(dict(manifest.config), f"{name} {version}")
    if name == RANKER:
        loaded = spec.implementation.load(name, folder, config, live.parts)
        lineup.swap_ranker(NamedVersion.of(manifest, loaded), version)
        return stages
    if not train.fits(manifest, live.parts.catalogue):
        raise CorruptError(f"version {version} of {name!r} was trained on other items than this shop has now")
    part = spec.implementation.load(name, folder, config, live.parts)
    n_items = int(manifest.metrics["n_items"])
    live.follower.join(part, manifest.data_seq, n_items, lambda: _swap(lineup, name, part, version))
    return stages


def join(live: Live, trained: train.Trained) -> None:
    """Bring a version up to where the others are and put it into service."""
    joining = _joining(live, trained)
    live.follower.join(joining.part, joining.seq, joining.n_items, joining.put_into_service)


def _made_ready(spec: SourceSpec, live: Live, records: RecordStore) -> collect.Joining:
    """The promoted version of a source, or an empty one in a small shop that was never trained."""
    lineup = live.stages.lineup
    try:
        trained = train.load(spec, live.parts, live.follower.seq)
    except (CorruptError, DataError) as error:
        # Statistics have no settings of their own: they follow the names of the sources, whatever these are now.
        is_wrong = not error.may_pass if isinstance(error, CorruptError) else spec.name == STATISTICS
        is_rebuilt = spec.implementation.is_index and is_wrong
        if not is_rebuilt or spec.name in lineup.versions:
            raise
        log.warning("index %s cannot be used (%s); it is rebuilt from the shop's records", spec.name, error)
        snapshot = records.snapshot()
        live.follower.catch_up()
        trained = train.train_one(spec, snapshot, live.parts)
    if trained:
        n_behind = records.count_since(trained.manifest.data_seq)["events"]
        return _joining(live, trained, n_behind if n_behind > REPLAYED_EVENTS else 0)
    if not _is_small(live.parts.catalogue, records):
        raise NotReadyError(NEVER_TRAINED, command="aisle train")
    source = spec.implementation.fit(spec.name, Snapshot.empty(), spec.config, live.parts)
    return collect.Joining(source, 0, 0, lambda: _swap(lineup, spec.name, source, "untrained"))


def _joining(live: Live, trained: train.Trained, n_spared: int = 0) -> collect.Joining:
    manifest, lineup = trained.manifest, live.stages.lineup
    learns_from_events = _learns_from_events(manifest.name, trained.source)

    def put_into_service() -> None:
        _swap(lineup, manifest.name, trained.source, manifest.version)
        if n_spared and learns_from_events:
            lineup.note(manifest.name, _behind(n_spared))

    n_items = int(manifest.metrics["n_items"])
    return collect.Joining(trained.source, manifest.data_seq, n_items, put_into_service, is_stale=n_spared > 0)


def _swap(lineup: Lineup, name: str, part: Any, version: str) -> None:
    if name == STATISTICS:
        lineup.swap_statistics(part, version)
    elif name == UNDERSTANDING:
        lineup.swap_reader(part, version)
    else:
        lineup.swap(name, part, version)


def _refuse(live: Live, name: str, promoted: str | None, error: Exception) -> None:
    """Note why a version does not serve; the one that does answers on."""
    lineup = live.stages.lineup
    earlier, why = live.refused.get(name), _why(name, error)
    if promoted is not None:
        try_again_at = _NEVER if _is_lasting(error) else time.monotonic() + TRY_AGAIN_SECONDS
        live.refused[name] = Refused(promoted, why, try_again_at)
    is_told = earlier is not None and (earlier.version, earlier.why) == (promoted, why)
    serving = lineup.versions.get(name)
    if serving is None:
        lineup.withdraw(name, why)
    else:
        level = logging.INFO if is_told else logging.WARNING
        log.log(level, "version %s of %s cannot be used: %s", promoted, name, why)
        lineup.note(name, f"version {promoted} cannot be used, version {serving} answers on: {why}")


def _is_lasting(error: Exception) -> bool:
    """Whether it is the version that is wrong: its content, its kind, its settings. Anything else may pass."""
    return isinstance(error, DataError) or (isinstance(error, CorruptError) and not error.may_pass)


def _learns_from_events(name: str, part: LivePart | type[LivePart]) -> bool:
    """Indexes of items do not; statistics are rebuilt like an index, but of everything."""
    return name == STATISTICS or not part.is_index


def _why(name: str, error: Exception) -> str:
    if isinstance(error, AisleError):
        return str(error)
    log.error("source %s does not load; the shop answers without it", name, exc_info=error)
    return f"it does not load ({type(error).__name__}: {error})"


def _behind(n_events: int) -> str:
    return f"answers without the last {n_events:,} events; run `aisle train SHOP`"


def _is_small(catalogue: Catalogue, records: RecordStore) -> bool:
    return catalogue.n_items <= UNTRAINED_ITEMS and records.counts()["events"] <= UNTRAINED_EVENTS
