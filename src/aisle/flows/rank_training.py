"""Train the ranker from the shop's own log: gather, fit, judge, write, and promote what passed.

Enters: slates with their features, and the events that answer to them. Leaves: a version whose manifest holds figures
and verdict. A version that did not pass is kept for looking at, and never answers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aisle.contracts import ArtifactStore, Explainer, Float32Array, Manifest, Parts, Ranker, RecordStore
from aisle.domain import Candidates, Examples, Features, Outcomes, Request
from aisle.errors import CorruptError, DataError
from aisle.flows.slate_pages import slates_after
from aisle.flows.stages import Predict
from aisle.flows.train import plain
from aisle.ranking import FusedScore
from aisle.ranking.examples import ResponseRows, assemble
from aisle.ranking.features import code_of
from aisle.ranking.gate import ORDER_GAIN, PASSED, InService, Verdict, is_worse_in, judge
from aisle.ranking.learning import earlier_and_later
from aisle.ranking.position import placement_codes
from aisle.settings import Config

HELD_OUT_SHARE = 0.2
"""Of the lists, the latest: what the gate judges on."""
MAX_LISTS = 100_000
"""The latest lists that are learned from; a thousand of 20 slots and 86 features take 7 MB."""
LEAST_LISTS = 200
"""A placement with fewer shown lists than this is not ranked by what was learned elsewhere."""
LISTS_OF = "n_lists."
"""Before a placement's name: how many of its lists a version learned from."""
HAS_IMPRESSIONS = "has_impressions"
"""1 where pages told which lists were shown; without that, nobody knows how much too high click probabilities are."""
NEWEST_LIST_MS = "newest_list_ms"
"""When the newest list was shown that a version learned from."""
NOT_CALIBRATED = (
    "its click probabilities are not calibrated, as lists without a click are not known of: send view_item_list events "
    "with the slate_id of the list"
)

log = logging.getLogger("aisle.ranker")

_WRITTEN_LATE = 10_000
"""A list waits a moment before it is written down, so a response may stand before it, behind lists of before."""


@dataclass(frozen=True)
class RankerSpec:
    """The configured ranker: its class, its checked config, where its versions are kept."""

    name: str
    implementation: type[Any]
    config: Config
    artifacts: ArtifactStore


@dataclass(frozen=True)
class TrainedRanker:
    """A version that was written; ``ranker`` is what was read back of it."""

    manifest: Manifest
    ranker: Ranker
    verdict: Verdict


def train_ranker(spec: RankerSpec, records: RecordStore, parts: Parts) -> TrainedRanker:
    """Fit on the earlier lists, judge on the later ones, fit on all, write, read back; promote it if it passed.

    It is judged beside the version in service, if that can still answer.

    Raises:
        NotReadyError: too few lists were shown or clicked.
    """
    data_seq = records.counts()["seq"]
    parts.progress("ranker: gather lists", 0, 4)
    examples, lists_of = gather(records, parts.clock())
    earlier, later = earlier_and_later(examples, HELD_OUT_SHARE)
    parts.progress("ranker: fit on earlier lists", 1, 4)
    candidate = spec.implementation.fit(spec.name, earlier, spec.config, parts)
    parts.progress("ranker: judge on later lists", 2, 4)
    enough = [name for name, n_lists in lists_of.items() if n_lists >= LEAST_LISTS]
    verdict = judge(candidate, earlier, later, parts.rng, enough, in_service(spec, parts))
    parts.progress("ranker: fit on all lists", 3, 4)
    ranker = spec.implementation.fit(spec.name, examples, spec.config, parts)
    learned = {
        "n_examples": float(len(examples)),
        "n_clicks": float(examples.is_click.sum()),
        "n_purchases": float(examples.is_purchase.sum()),
        HAS_IMPRESSIONS: float(examples.has_impressions),
        NEWEST_LIST_MS: float(examples.times_ms.max()),
        **{f"{LISTS_OF}{name}": float(n_lists) for name, n_lists in lists_of.items()},
    }
    with spec.artifacts.write(
        spec.name,
        spec.implementation.__name__,
        data_seq=data_seq,
        config=plain(spec.config),
        metrics={**learned, **verdict.metrics},
    ) as draft:
        ranker.save(draft.folder)
        read_back = spec.implementation.load(spec.name, draft.folder, spec.config, parts)
    parts.progress("ranker", 4, 4)
    if verdict.is_passed:
        return TrainedRanker(spec.artifacts.promote(spec.name, draft.version), read_back, verdict)
    written = {manifest.version: manifest for manifest in spec.artifacts.versions(spec.name)}
    return TrainedRanker(written[draft.version], read_back, verdict)


def gather(records: RecordStore, now_ms: int) -> tuple[Examples, dict[str, int]]:
    """The latest lists that were shown and what came of them; and how many lists of each placement."""
    # More may be written meanwhile.
    slates = list(slates_after(records, records.seq_before_slates(MAX_LISTS)))[-MAX_LISTS:]
    responses = ResponseRows.of(records.read_slate_events(records.seq_before_slates(MAX_LISTS + _WRITTEN_LATE)))
    examples = assemble(slates, responses, responses.known_until(now_ms))
    _, first = np.unique(examples.lists, return_index=True)
    codes = placement_codes(examples)[first]
    return examples, {name: int((codes == code_of(name)).sum()) for name in sorted({s.placement for s in slates})}


def in_service(spec: RankerSpec, parts: Parts) -> InService | None:
    """The promoted version, to compare a new one with; None where there is none that could go on answering."""
    try:
        found = load_ranker(spec, parts)
    except (CorruptError, DataError) as error:
        log.warning("the new ranker is not compared with the one in service: %s", error)
        return None
    if found is None:
        return None
    manifest, ranker = found
    return InService(ranker, ranked_placements(manifest), manifest.metrics[NEWEST_LIST_MS])


def not_ranked(manifest: Manifest) -> dict[str, str]:
    """Placements of which a version has learned and that it leaves to the fused score, and why."""
    metrics, why = manifest.metrics, {}
    for name, n_lists in lists_of_placements(manifest).items():
        if n_lists < LEAST_LISTS:
            why[name] = f"{n_lists:.0f} shown lists, {LEAST_LISTS} are needed"
        elif is_worse_in(name, metrics):
            low, value, high = (metrics[f"{ORDER_GAIN}{end}.{name}"] for end in ("_low", "", "_high"))
            why[name] = f"the fused order is clearly better there: {value:+.3f}, interval {low:+.3f} to {high:+.3f}"
    return why


def ranked_placements(manifest: Manifest) -> frozenset[str]:
    """Where a version ranks."""
    return frozenset(lists_of_placements(manifest)) - frozenset(not_ranked(manifest))


def lists_of_placements(manifest: Manifest) -> dict[str, float]:
    """How many lists of each placement a version has learned from."""
    found = {name: n for name, n in manifest.metrics.items() if name.startswith(LISTS_OF)}
    return {name.removeprefix(LISTS_OF): n for name, n in found.items()}


def load_ranker(spec: RankerSpec, parts: Parts) -> tuple[Manifest, Ranker] | None:
    """The promoted version, None when there is none.

    Raises:
        CorruptError: a file is damaged.
        DataError: the version is of another kind than aisle.toml names now.
    """
    found = spec.artifacts.current(spec.name)
    if found is None:
        return None
    folder, manifest = found
    if manifest.kind != spec.implementation.__name__:
        raise DataError(
            f"the ranker in service is a {manifest.kind} and aisle.toml names {spec.implementation.__name__}; "
            f"run `aisle train SHOP --source {spec.name}`",
            source=spec.name,
        )
    return manifest, spec.implementation.load(spec.name, folder, spec.config, parts)


@dataclass(frozen=True)
class NamedVersion:
    """A ranker in service: its outcomes name the version, and it speaks only of placements where it ranks well.

    What brings clicks in one list need not in another: elsewhere the fused score goes on deciding.
    """

    ranker: Predict
    version: str
    placements: frozenset[str]
    is_calibrated: bool

    @classmethod
    def of(cls, manifest: Manifest, ranker: Predict) -> NamedVersion:
        """The ranker of a version, as its manifest tells of it."""
        return cls(ranker, manifest.version, ranked_placements(manifest), has_impressions(manifest))

    def predict(
        self, requests: Sequence[Request], candidates: Sequence[Candidates], features: Sequence[Features]
    ) -> list[Outcomes]:
        """As the ranker does where it has learned; all requests are of one placement."""
        if any(request.placement not in self.placements for request in requests):
            return FusedScore().predict(requests, candidates, features)
        predicted = self.ranker.predict(requests, candidates, features)
        return [
            replace(one, model_version=self.version, is_calibrated=one.is_calibrated and self.is_calibrated)
            for one in predicted
        ]

    def attribute(self, features: Features) -> dict[str, Float32Array]:
        """As the ranker does; empty when it cannot."""
        return self.ranker.attribute(features) if isinstance(self.ranker, Explainer) else {}


def has_impressions(manifest: Manifest) -> bool:
    """Whether the lists that a version learned from came with impressions."""
    return manifest.metrics[HAS_IMPRESSIONS] > 0.0


def said(trained: TrainedRanker) -> str:
    """What became of a training, in one sentence."""
    figures = trained.manifest.metrics
    what = f"ranker {trained.manifest.version}, from {figures['n_examples']:,.0f} shown items"
    if figures[PASSED]:
        parts = [f"{what}: it passed its gate and answers"]
        parts += [f"{name} keeps the fused order ({why})" for name, why in not_ranked(trained.manifest).items()]
        parts += [] if has_impressions(trained.manifest) else [NOT_CALIBRATED]
        return "; ".join(parts)
    return f"{what}: it did not pass its gate and does not answer: " + "; ".join(trained.verdict.shortcomings)
