"""Counts over what was found, by which a list can be narrowed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facet:
    """One value that a list could be narrowed to, and how many of the items found have it."""

    value: str
    n_items: int


@dataclass(frozen=True, slots=True)
class CategoryFacet:
    """One category, its path joined by ``" > "``; items below it count too. ``children`` are what lies below it."""

    value: str
    n_items: int
    children: tuple[CategoryFacet, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeFacet:
    """One attribute: how many of the items found have it, and its values."""

    name: str
    n_items: int
    values: tuple[Facet, ...]


@dataclass(frozen=True, slots=True)
class PriceFacet:
    """Prices from ``lowest_minor`` to ``highest_minor``, both included."""

    lowest_minor: int
    highest_minor: int
    n_items: int


@dataclass(frozen=True, slots=True)
class RatingFacet:
    """Items whose mean rating is at least ``least``."""

    least: int
    n_items: int


@dataclass(frozen=True, slots=True)
class Facets:
    """How the items found spread, each facet under every filter but its own: most frequent values first.

    Prices in minor units of the shop's currency, None when no item found has one; ``prices`` from the lowest up, in
    buckets of round bounds. ``ratings`` from the highest down, each with what lies above it.
    """

    categories: tuple[CategoryFacet, ...] = ()
    brands: tuple[Facet, ...] = ()
    attributes: tuple[AttributeFacet, ...] = ()
    prices: tuple[PriceFacet, ...] = ()
    ratings: tuple[RatingFacet, ...] = ()
    lowest_price_minor: int | None = None
    highest_price_minor: int | None = None
    n_in_stock: int = 0
