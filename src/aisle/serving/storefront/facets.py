"""What a list can be narrowed to, as links: chips of what is chosen, and facets with their counts.

Enters: a choice and the shop's counts over what it found. Leaves: labels and addresses in the visitor's language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aisle.domain import SORTS, CategoryFacet, Facet, Facets, Item
from aisle.serving.html import Words, price
from aisle.serving.storefront.choice import Choice

BETWEEN = " > "
MOST_ATTRIBUTES = 6
"""Attributes that a page shows."""
MOST_VALUES = 40
"""Values of one facet, those that a page folds away included."""


@dataclass(frozen=True)
class Link:
    """One thing to choose, or to take back when it is chosen: what it says, where it leads, how many items it has."""

    label: str
    address: str
    n_items: int | None = None
    is_chosen: bool = False
    below: Sequence[Link] = ()
    share: int | None = None
    """Per cent of the largest beside it, where that is drawn."""

    @property
    def holds_chosen(self) -> bool:
        """Whether it or anything below it is chosen."""
        return self.is_chosen or any(link.holds_chosen for link in self.below)


@dataclass(frozen=True)
class Attribute:
    """One attribute and its values."""

    name: str
    values: Sequence[Link]


@dataclass(frozen=True)
class Narrowing:
    """Everything beside a list page's cards."""

    chips: Sequence[Link]
    categories: Sequence[Link]
    brands: Sequence[Link]
    attributes: Sequence[Attribute]
    prices: Sequence[Link]
    ratings: Sequence[Link]
    stock: Link | None
    sorts: Sequence[Link]
    lowest: str | None
    highest: str | None


def narrowing(choice: Choice, facets: Facets | None, words: Words, currency: str, *, has_stock: bool) -> Narrowing:
    """Links of the page that ``choice`` describes; ``has_stock``: its list shows what cannot be bought too."""
    counted = facets or Facets()
    lowest, highest = counted.lowest_price_minor, counted.highest_price_minor
    return Narrowing(
        chips=_chips(choice, words, currency),
        categories=_categories(choice, counted.categories, words, currency),
        brands=_brands(choice, counted.brands, words, currency),
        attributes=_attributes(choice, counted, words, currency),
        prices=_prices(choice, counted, words, currency),
        ratings=_ratings(choice, counted, words, currency),
        stock=Link(
            words("in_stock_only"),
            choice.address(currency, is_in_stock_only=not choice.is_in_stock_only),
            counted.n_in_stock,
            choice.is_in_stock_only,
        )
        if has_stock
        else None,
        sorts=[
            Link(words(f"sort_{sort}"), choice.address(currency, sort=sort), is_chosen=choice.sort == sort)
            for sort in SORTS
        ],
        lowest=None if lowest is None else price(lowest, currency, words.language),
        highest=None if highest is None else price(highest, currency, words.language),
    )


def trail(item: Item, words: Words, currency: str) -> list[Link]:
    """The categories of an item from the root down."""
    return [
        Link(words.name(name), Choice(category=BETWEEN.join(item.category[: depth + 1])).address(currency))
        for depth, name in enumerate(item.category)
    ]


def last_name(path: str, words: Words) -> str:
    """The name of the deepest category of ``path``."""
    return words.name(path.rpartition(BETWEEN)[2])


def _chips(choice: Choice, words: Words, currency: str) -> list[Link]:
    chips = [
        Link(words.name(brand), choice.address(currency, brands=tuple(b for b in choice.brands if b != brand)))
        for brand in choice.brands
    ]
    if choice.category and choice.query:  # without a query the category is the page itself
        chips.insert(0, Link(last_name(choice.category, words), choice.address(currency, category=None)))
    chips += [
        Link(f"{words.name(name)}: {words.name(value)}", _without_pair(choice, (name, value), currency))
        for name, value in choice.attributes
    ]
    if choice.rating is not None:
        chips.append(Link(words("rating_from", least=choice.rating), choice.address(currency, rating=None)))
    low, high = (None if m is None else price(m, currency, words.language) for m in (choice.low, choice.high))
    if low or high:
        key = "price_between" if low and high else "price_from" if low else "price_to"
        chips.append(Link(words(key, low=low, high=high), choice.address(currency, low=None, high=None)))
    if choice.is_in_stock_only:
        chips.append(Link(words("in_stock_only"), choice.address(currency, is_in_stock_only=False)))
    return chips


def _categories(choice: Choice, facets: Sequence[CategoryFacet], words: Words, currency: str) -> list[Link]:
    """The roots, the chosen one (the only one) opened down to what lies below the choice.

    One is chosen at a time: another takes its place, and the chosen one leads back up.
    """
    steps = choice.category.split(BETWEEN) if choice.category else []
    counted = _with_chosen(list(_flat(facets)), [BETWEEN.join(steps[: depth + 1]) for depth in range(len(steps))])
    roots = [facet for facet in counted if BETWEEN not in facet.value]
    opened = choice.category or (roots[0].value if len(roots) == 1 else "")

    def link(facet: Facet) -> Link:
        is_chosen = choice.category == facet.value
        above = facet.value.rpartition(BETWEEN)[0] or None
        is_open = opened == facet.value or opened.startswith(facet.value + BETWEEN)
        below = [inner for inner in counted if inner.value.rpartition(BETWEEN)[0] == facet.value] if is_open else []
        return Link(
            last_name(facet.value, words),
            choice.address(currency, category=above if is_chosen else facet.value),
            facet.n_items,
            is_chosen,
            [link(inner) for inner in below[:MOST_VALUES]],
        )

    return [link(facet) for facet in roots[:MOST_VALUES]]


def _flat(facets: Sequence[CategoryFacet]) -> Iterator[Facet]:
    for facet in facets:
        yield Facet(facet.value, facet.n_items)
        yield from _flat(facet.children)


def _brands(choice: Choice, facets: Sequence[Facet], words: Words, currency: str) -> list[Link]:
    """Several may be chosen; a chosen one leads to the page without it."""
    chosen = set(choice.brands)
    return [
        Link(
            words.name(facet.value),
            choice.address(
                currency,
                brands=tuple(b for b in choice.brands if b != facet.value)
                if facet.value in chosen
                else (*choice.brands, facet.value),
            ),
            facet.n_items,
            facet.value in chosen,
        )
        for facet in _with_chosen(facets[:MOST_VALUES], choice.brands)
    ]


def _attributes(choice: Choice, facets: Facets, words: Words, currency: str) -> list[Attribute]:
    """Several values may be chosen; those of one name widen each other. Attributes of a single value narrow nothing."""
    chosen = choice.values_by_name
    found: list[Attribute] = []
    for facet in facets.attributes:
        own = chosen.get(facet.name, ())
        if len(facet.values) < 2 and not own:
            continue
        links = [
            Link(
                words.name(value.value),
                _without_pair(choice, (facet.name, value.value), currency)
                if value.value in own
                else choice.address(currency, attributes=(*choice.attributes, (facet.name, value.value))),
                value.n_items,
                value.value in own,
            )
            for value in _with_chosen(facet.values, own)
        ]
        found.append(Attribute(words.name(facet.name), links))
    return found[:MOST_ATTRIBUTES]


def _without_pair(choice: Choice, pair: tuple[str, str], currency: str) -> str:
    return choice.address(currency, attributes=tuple(other for other in choice.attributes if other != pair))


def _prices(choice: Choice, facets: Facets, words: Words, currency: str) -> list[Link]:
    """The histogram, where it has more than one bucket: each with what its bar is long, in per cent of the longest."""
    most = max((bucket.n_items for bucket in facets.prices), default=0)
    if len(facets.prices) < 2:
        return []
    return [
        Link(
            words(
                "price_between",
                low=price(bucket.lowest_minor, currency, words.language),
                high=price(bucket.highest_minor, currency, words.language),
            ),
            choice.address(currency, low=bucket.lowest_minor, high=bucket.highest_minor),
            bucket.n_items,
            (choice.low, choice.high) == (bucket.lowest_minor, bucket.highest_minor),
            share=round(100 * bucket.n_items / most),
        )
        for bucket in facets.prices
        if bucket.n_items
    ]


def _ratings(choice: Choice, facets: Facets, words: Words, currency: str) -> list[Link]:
    return [
        Link(
            words("rating_from", least=facet.least),
            choice.address(currency, rating=None if choice.rating == facet.least else facet.least),
            facet.n_items,
            choice.rating == facet.least,
        )
        for facet in facets.ratings
    ]


def _with_chosen(facets: Sequence[Facet], chosen: Sequence[str]) -> list[Facet]:
    """``facets``, and last what is chosen but was not counted: it must be there to be taken back."""
    counted = {facet.value for facet in facets}
    return [*facets, *(Facet(value, 0) for value in chosen if value not in counted)]
