"""Why an item stands in a list: which sources found it, and which features moved its prediction.

Enters: a slot, its features and how much each moved the prediction. Leaves: reasons by code with their strength, and
the sources' shares. Knows no words: sentences are in ``reason_words``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aisle.domain import Slot

CHANCE_BELOW = 0.5
"""A slot whose item had less than this chance was filled at random."""
LEAST_SHARE = 0.15
"""A source with a smaller share in having found an item is no reason worth telling."""

_OF_SOURCE: Mapping[str, str] = {
    "lexical": "words",
    "linear": "like_yours",
    "item_neighbours": "like_yours",
    "popular": "popular",
    "trending": "trending",
    "new_arrivals": "new",
    "recently_viewed": "viewed",
    "buy_again": "buy_again",
    "semantic": "meaning",
}
_OF_SOURCE_ABOUT_ITEMS: Mapping[str, str] = {
    "linear": "goes_with",
    "item_neighbours": "viewed_together",
    "bought_together": "bought_together",
    "semantic": "like_item",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """A kind of reason: the features it rests on, and when their values bear it out."""

    code: str
    features: tuple[str, ...]
    holds: Callable[[Mapping[str, float]], bool]


GROUNDS: tuple[Ground, ...] = (
    Ground(
        "category_now",
        ("cross.visit_leaf", "cross.recent_leaf", "cross.leaf_over_share"),
        lambda known: known.get("cross.visit_leaf", 0.0) >= 0.25,
    ),
    Ground(
        "category",
        ("cross.lasting_leaf", "cross.recent_leaf", "cross.leaf_over_share", "cross.lasting_top", "cross.recent_top"),
        lambda known: max(known.get("cross.lasting_leaf", 0.0), known.get("cross.recent_leaf", 0.0)) >= 0.1,
    ),
    Ground(
        "brand",
        ("cross.recent_brand", "cross.lasting_brand", "cross.bought_brand"),
        lambda known: max(known.get("cross.lasting_brand", 0.0), known.get("cross.recent_brand", 0.0)) >= 0.1,
    ),
    Ground(
        "price",
        ("cross.price_to_seen", "cross.price_to_bought"),
        lambda known: abs(known.get("cross.price_to_bought", known.get("cross.price_to_seen", 9.0))) <= 0.4,
    ),
    Ground(
        "popular",
        ("item.log_popularity", "item.log_purchases", "item.purchase_rate", "item.click_rate", "source.popular"),
        lambda known: known.get("item.log_purchases", 0.0) >= 1.6,
    ),
    Ground(
        "trending",
        ("item.trend", "source.trending", "raw.trending"),
        lambda known: known.get("item.trend", 0.0) >= 0.7,
    ),
    Ground(
        "new", ("item.age_days", "source.new_arrivals"), lambda known: 0.0 <= known.get("item.age_days", 999.0) <= 21.0
    ),
    Ground(
        "rated",
        ("item.rating", "item.log_ratings"),
        lambda known: known.get("item.rating", 0.0) >= 4.3 and known.get("item.log_ratings", 0.0) >= 1.3,
    ),
    Ground("bought", ("cross.times_bought",), lambda known: known.get("cross.times_bought", 0.0) >= 1.0),
    Ground("viewed", ("cross.times_seen",), lambda known: known.get("cross.times_seen", 0.0) >= 1.0),
)


def shares(slot: Slot, known: Mapping[str, float], largest: Mapping[str, float]) -> dict[str, float]:
    """The share of each source in having found the item, summing to 1, largest first; empty when none is noted.

    A source's part is its score relative to its best, among the candidates where features tell it, else among the
    slots of the list (``largest``).
    """
    parts = {}
    for source, score in slot.scores.items():
        relative = known.get(f"source.{source}")
        if relative is None:
            relative = score / largest[source] if largest.get(source, 0.0) > 0 else 0.0
        parts[source] = max(relative, 0.0)
    total = sum(parts.values())
    if not total:
        return {source: 1.0 / len(parts) for source in parts}
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return {source: part / total for source, part in ordered}


def reason_codes(
    slot: Slot,
    of_sources: Mapping[str, float],
    known: Mapping[str, float],
    moved: Mapping[str, float],
    *,
    about_items: bool,
) -> list[tuple[str, float, str]]:
    """Codes with strengths in (0, 1] and the source meant, strongest first, none twice.

    Args:
        slot: the item's place.
        of_sources: from ``shares``.
        known: features of the item, unknown ones left out.
        moved: how much each feature moved the log-odds of a click; empty without a trained ranker.
        about_items: whether the list was about items.
    """
    found: dict[str, tuple[float, str]] = {}

    def tell(code: str, strength: float, source: str = "") -> None:
        if strength > found.get(code, (0.0, ""))[0]:
            found[code] = (strength, source)

    if slot.placed_by is not None:
        tell("placed", 1.0)
    if slot.propensity < CHANCE_BELOW:
        tell("chance", 1.0)
    for source, share in of_sources.items():
        if share >= LEAST_SHARE:
            tell(code_of_source(source, about_items=about_items), share, source)
    upwards = sum(max(by, 0.0) for by in moved.values())
    for ground in GROUNDS:
        by = sum(moved.get(name, 0.0) for name in ground.features)
        if by > 0.0 and ground.holds(known):
            tell(ground.code, min(by / upwards, 1.0))
    if "category_now" in found:
        found.pop("category", None)
    ordered = sorted(found.items(), key=lambda reason: -reason[1][0])
    return [(code, strength, source) for code, (strength, source) in ordered]


def code_of_source(source: str, *, about_items: bool) -> str:
    """What it means that ``source`` found an item."""
    if about_items and source in _OF_SOURCE_ABOUT_ITEMS:
        return _OF_SOURCE_ABOUT_ITEMS[source]
    return _OF_SOURCE.get(source, "source")
