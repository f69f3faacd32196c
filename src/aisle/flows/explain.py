"""Why a list is as it is, in words.

Enters: a slate as it was shown, with the features that were known then. Leaves: an ``Explanation``. It holds for the
list as it was, whatever happened since: a ranker that did not make the list is not asked about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aisle.contracts import Explainer, Float32Array
from aisle.domain import Explanation, Item, Reason, Slate, SlotReasons
from aisle.ranking.reason_words import words_for
from aisle.ranking.reasons import reason_codes, shares

MAX_REASONS = 4
ReadItems = Callable[[Sequence[str]], list[Item]]


def explain(slate: Slate, ranker: object | None, read_items: ReadItems, language: str | None = None) -> Explanation:
    """Shares of sources, outcomes, propensities and reasons of each slot.

    Args:
        slate: from the log.
        ranker: the one in service, when it is the one that made the list. None, or one that is no ``Explainer``,
            leaves reasons to the sources.
        read_items: looks up titles, brands and categories.
        language: of the sentences; English when it is not spoken.
    """
    spoken, words = words_for(language)
    items = {item.item_id: item for item in read_items([*slate.item_ids, *slate.anchor_item_ids])}
    anchor = next((items[item_id] for item_id in slate.anchor_item_ids if item_id in items), None)
    moved = attributions(slate, ranker)
    largest = largest_scores(slate)
    slots = []
    for place, slot in enumerate(slate.slots):
        known = known_features(slate, place)
        of_sources = shares(slot, known, largest)
        codes = reason_codes(slot, of_sources, known, row_of(slate, moved, place), about_items=anchor is not None)
        reasons = [
            Reason(code, said(words[code], source, items.get(slot.item_id), anchor, spoken), strength)
            for code, strength, source in codes
            if can_be_said(words[code], items.get(slot.item_id))
        ]
        slots.append(
            SlotReasons(slot.item_id, of_sources, dict(slot.outcomes), slot.propensity, tuple(reasons[:MAX_REASONS]))
        )
    return Explanation(slate, spoken, tuple(slots))


def attributions(slate: Slate, ranker: object | None) -> Float32Array | None:
    """How much each feature moved the odds of a click, (n_slots, n_features) or None."""
    if slate.features is None or not slate.slots or not isinstance(ranker, Explainer):
        return None
    return ranker.attribute(slate.features).get("click")


def row_of(slate: Slate, moved: Float32Array | None, place: int) -> Mapping[str, float]:
    """One slot's attributions by name."""
    if moved is None or slate.features is None:
        return {}
    return dict(zip(slate.features.names, moved[place].tolist(), strict=True))


def known_features(slate: Slate, place: int) -> Mapping[str, float]:
    """One slot's features by name, unknown ones left out."""
    if slate.features is None:
        return {}
    values = slate.features.values[place].tolist()
    return {name: value for name, value in zip(slate.features.names, values, strict=True) if np.isfinite(value)}


def largest_scores(slate: Slate) -> Mapping[str, float]:
    """The best score of each source in the list."""
    found: dict[str, float] = {}
    for slot in slate.slots:
        for source, score in slot.scores.items():
            found[source] = max(found.get(source, 0.0), score)
    return found


def can_be_said(sentence: str, item: Item | None) -> bool:
    """Whether what the sentence names is known."""
    if "{category}" in sentence:
        return item is not None and bool(item.category)
    return "{brand}" not in sentence or (item is not None and bool(item.brand))


def said(sentence: str, source: str, item: Item | None, anchor: Item | None, language: str) -> str:
    """The sentence with its names filled in."""
    return sentence.format(
        source=source,
        title="" if anchor is None else anchor.text(language).title,
        category=item.category[-1] if item and item.category else "",
        brand=item.brand if item else "",
    )
