"""The parts of a shop that answer: loaded once, by whoever asks first, and kept up with what is recorded and trained.

Enters: a shop's settings, records and versions. Leaves: ``Live`` parts that know all that was acknowledged. What a shop
can be asked stands in ``shop.py``, how parts are chosen in ``wiring.py``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aisle.contracts import ArtifactStore, Clock, Manifest, Meter, Parts, Progress
from aisle.domain import Snapshot
from aisle.errors import AisleError, ConfigError, NotReadyError, UnavailableError, unknown_name
from aisle.flows import finetune, train
from aisle.flows.adapt import ENCODER
from aisle.flows.collect import Following
from aisle.flows.rank_training import RankerSpec
from aisle.flows.rule_book import RuleBook
from aisle.flows.search_changes import Change
from aisle.flows.stages import RANKER
from aisle.flows.train import SourceSpec
from aisle.folder import ShopFolder
from aisle.retrieval.suggest import Suggestions
from aisle.settings import Settings
from aisle.storage import SlateOutbox, SqlEmbeddings, SqlRecords
from aisle.wiring import (
    CONFIGURED,
    Encoding,
    Live,
    adapted_encoding,
    bring_in,
    bring_in_ranker,
    go_live,
    join,
    load_parts,
    renew,
    renew_ranker,
    with_version,
)

PATIENCE_SECONDS = 1.0
"""How long an answer waits to know of what was acknowledged before it; only large imports under way take longer."""

log = logging.getLogger("aisle.shop")


@dataclass(frozen=True)
class Belongings:
    """What a shop consists of before anything is loaded."""

    folder: ShopFolder
    settings: Settings
    specs: Mapping[str, SourceSpec]
    """Sources and statistics."""
    ranker: RankerSpec
    records: SqlRecords
    outbox: SlateOutbox
    """Lists on their way into the records."""
    rules: RuleBook
    clock: Clock
    progress: Progress
    meter: Meter

    @property
    def models(self) -> ArtifactStore:
        """Where versions of the ranker and the encoder are kept."""
        return self.ranker.artifacts


class LiveShop:
    """Loads the parts of a shop and keeps them up. Safe to use from several threads."""

    def __init__(self, own: Belongings) -> None:
        self._own = own
        self.opened: Live | None = None
        """What writers tell of their changes."""
        self.answering: Live | None = None
        """The same once it knows of everything that was written while it was loaded."""
        self.training = threading.Lock()
        """Held by whoever makes new versions."""
        self._acknowledged_seq = 0
        """The next answer knows everything up to here."""
        self._following: Following | None = None
        self._completions: Suggestions | None = None
        self._embeddings: SqlEmbeddings | None = None
        self._encoder_promoted: str | None = None
        """The version of the encoder that was promoted when the parts were loaded."""
        self._lock = threading.RLock()
        self._acknowledging = threading.Lock()

    def ready(self) -> Live:
        """The parts that answer, loaded by the first call."""
        return self.answering or self._open()

    def caught_up(self) -> Live:
        """``ready``, with what was acknowledged taken in as far as it can be."""
        answering = self.ready()
        try:
            self._catch_up()
        except AisleError as error:
            log.warning("%s", error)
        return answering

    def suggestions(self) -> Suggestions:
        """Ways to go on typing, gathered by the first call."""
        live = self.caught_up()
        completions = self._completions
        if completions is not None:
            return completions
        with self._lock:
            if self._completions is None:
                snapshot = self._own.records.snapshot()
                completions = Suggestions.fit(snapshot, self._own.records.read_query_counts())
                live.follower.follow(snapshot.seq, completions.extend)
                self._completions = completions
            return self._completions

    def follow(self, every_seconds: float) -> None:
        """Have a thread look for what other processes did, until ``close``."""
        with self._lock:
            if self._following is None:
                self._following = Following(lambda: self.caught_up().follower.catch_up(), self.renew, every_seconds)

    def acknowledge(self, seq: int) -> None:
        """From now on answers know everything up to ``seq``: the next one takes it in first, if no thread has."""
        with self._acknowledging:
            self._acknowledged_seq = max(self._acknowledged_seq, seq)
        if self._following:
            self._following.nudge()

    def renew(self) -> None:
        """Bring in other processes' versions; while this one trains, its own come and the others wait.

        Query rules come in any case.
        """
        try:
            self._own.rules.renew()
        finally:
            self._renew_versions()

    def _renew_versions(self) -> None:
        live = self.caught_up()
        if self.training.acquire(blocking=False):
            try:
                live = self.renew_encoder() or live
                renew(self._own.specs.values(), live, self._own.records)
                renew_ranker(self._own.ranker, live)
            finally:
                self.training.release()

    def renew_encoder(self) -> Live | None:
        """Load all parts again beside those that answer, if these have another encoder than the promoted one."""
        if not self.opened or self._own.models.promoted(ENCODER) == self._encoder_promoted:
            return None
        log.info("another encoder was put into service; the shop is loaded anew")
        fresh = self._go_live()
        fresh.follower.catch_up()
        bring_in_ranker(self._own.ranker, fresh)
        with self._lock:
            self.opened = self.answering = fresh
            self._completions = None
        return fresh

    def put_into_service(self, trained: train.Trained, parts: Parts) -> None:
        """Let a new version answer, whatever was opened while it was being fitted with ``parts``."""
        with self._lock:  # waits while another thread is loading the version before this one
            live = self.opened
            if live is None:
                return
            if live.parts is parts:
                join(live, trained)
            elif train.fits(trained.manifest, live.parts.catalogue):
                bring_in([self._own.specs[trained.manifest.name]], live, self._own.records)
            else:
                log.warning("the live catalogue numbers items otherwise than the records; the shop is loaded anew")
                self.opened = self.answering = self._completions = None

    def bring_in(self, name: str) -> None:
        """Let the promoted version of a source, the statistics or the ranker answer, if anything is loaded."""
        with self._lock:
            if self.opened and name == RANKER:
                bring_in_ranker(self._own.ranker, self.opened)
            elif self.opened:
                bring_in([self._own.specs[name]], self.opened, self._own.records)

    def parts_for(self, snapshot: Snapshot) -> Parts:
        """Parts whose catalogue holds the snapshot's items in the same rows: the live ones if they do."""
        opened = self.opened
        if opened:
            opened.follower.catch_up()
            if train.is_numbered_alike(snapshot, opened.parts.catalogue):
                return opened.parts
        return self.load_parts()

    def load_parts(self) -> Parts:
        """Parts with the encoder that is promoted now."""
        return self.parts_with(adapted_encoding(self._own.settings.encoder, self._own.models))

    def parts_with(self, encoding: Encoding) -> Parts:
        """Parts with another encoder."""
        own = self._own
        if self._embeddings is None:
            self._embeddings = SqlEmbeddings.open(own.folder.embeddings)
        return load_parts(own.settings, encoding, own.records, self._embeddings, own.clock, own.progress)

    def taught(self, teach: Callable[[], Manifest]) -> Manifest:
        """What ``teach`` came to, alone among those who train; a new encoder of its answers."""
        with self.training:
            manifest = teach()
            self.renew_encoder()
            return manifest

    def change(self, compare: Sequence[str], stores: Mapping[str, ArtifactStore]) -> Change:
        """Two versions of one model side by side: ``NAME=VERSION`` against what is in service, or two of them.

        ``NAME`` alone is the newest version that is kept besides the one in service. Nothing is promoted.

        Raises:
            ConfigError: an unknown name, two names, or more than two versions.
            NotReadyError: no such version is kept.
        """
        own, live = self._own, self.caught_up()
        asked = [text.partition("=")[::2] for text in compare]
        name = asked[0][0]
        if len(asked) > 2 or {other for other, _ in asked} != {name}:
            raise ConfigError(f"one or two versions of one model are compared, not {' and '.join(compare)}")
        if name not in stores or finetune.is_kept(name, own.models):
            known = [one for one in stores if not finetune.is_kept(one, own.models)]
            raise ConfigError(unknown_name("model", name, known), setting="compare")
        if name == ENCODER:
            serving = live.parts.encoder_version or CONFIGURED
        else:
            serving = live.stages.lineup.versions.get(name, "none")
        others = [one.version for one in stores[name].versions(name) if one.version != serving]
        if not all(version for _, version in asked) and not others:
            raise NotReadyError(f"there is no other version of {name!r} to compare with", command="aisle train")
        versions = [version or others[-1] for _, version in asked]
        sides = [
            with_version(name, version, live, own.specs, own.ranker, own.settings, self.parts_with)
            for version in versions
        ]
        if len(sides) == 1:
            versions, sides = [*versions, serving], [*sides, live.stages]
        return Change(name, versions[0], versions[1], sides[0], sides[1])

    def close(self) -> None:
        """Let go of everything; the thread that follows ends. The outbox and the records are the caller's."""
        with self._lock:
            self.opened = self.answering = self._completions = None
        if self._embeddings:
            self._embeddings.close()

    def stop_following(self) -> None:
        """End the thread that ``follow`` began."""
        if self._following:
            self._following.stop()

    def _open(self) -> Live:
        with self._lock:
            if self.opened is None:
                self.opened = self._go_live()
            if self.answering is None:
                # A writer that found nothing opened has left its changes to us.
                self.opened.follower.catch_up()
                bring_in_ranker(self._own.ranker, self.opened)
                self.answering = self.opened
            return self.answering

    def _go_live(self) -> Live:
        own = self._own
        self._encoder_promoted = own.models.promoted(ENCODER)
        parts = self.load_parts, own.clock, own.meter, self._catch_up, own.rules.published
        return go_live(own.settings, own.specs, own.records, own.outbox, *parts)

    def _catch_up(self) -> None:
        """Take in what was acknowledged; should that fail, the records are safe and the next answer tries it again."""
        live = self.answering
        if live is None or live.follower.seq >= self._acknowledged_seq:
            return
        try:
            if live.follower.reach(self._acknowledged_seq, PATIENCE_SECONDS):
                return
            why = f"{PATIENCE_SECONDS} s were not enough, much is being taken in"
        except AisleError as error:
            why = str(error)
        raise UnavailableError(f"what was stored is not in the answers yet; the next one takes it in first: {why}")
