"""Why a list is as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aisle.domain.slates import Slate


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason in words a person understands; ``code`` names it for programs, ``strength`` orders reasons."""

    code: str
    text: str
    strength: float


@dataclass(frozen=True, slots=True)
class SlotReasons:
    """Why an item stands in its slot.

    ``sources`` are the shares (summing to 1) that each source has in its having been found, ``outcomes`` what was
    expected of it, ``reasons`` strongest first.
    """

    item_id: str
    sources: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, float] = field(default_factory=dict)
    propensity: float = 1.0
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """A slate and the reasons of its slots, in the slate's order, in ``language``."""

    slate: Slate
    language: str
    slots: tuple[SlotReasons, ...]
