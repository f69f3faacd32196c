"""Lists as a page shows them: cards, and why they are there.

Enters: a response of the shop. Leaves: a ``Shelf`` in the visitor's language. Runs in a thread: it reads items.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from markupsafe import Markup

from aisle.domain import Item, ItemKind, Response
from aisle.domain.money import to_minor
from aisle.errors import AisleError
from aisle.serving.html import Words, price
from aisle.serving.html.pages import as_path
from aisle.serving.storefront.pictures import picture_of
from aisle.shop import Shop

log = logging.getLogger("aisle.storefront")

Stock = Literal["plenty", "few", "none", "uncounted"]
FEW = 5
"""From so many pieces down a page says how many are left."""

TOTAL = "total"
"""What the timings call the time of the whole answer."""
MOST_EXPLAINED = 24
"""Of a long list the first items are explained; the rest would make the page heavy."""


@dataclass(frozen=True)
class Card:
    """One item in a list. ``slot`` is its place in the slate, from 0, whatever order it is shown in."""

    item_id: str
    slot: int
    title: str
    brand: str | None
    price: str | None
    price_minor: int | None
    picture: str
    address: str
    stock: Stock
    kind: str
    marked: Markup | None = None
    """The title with the words of the query marked."""
    snippet: Markup | None = None
    """A piece of the description where they stand."""
    n_more_variants: int = 0


@dataclass(frozen=True)
class Because:
    """Why one item is in a list: shares of the sources (per cent), what is expected, reasons in words."""

    title: str
    sources: Sequence[tuple[str, int | None]]
    outcomes: Mapping[str, str]
    reasons: Sequence[str]
    chance: str
    """With what probability it came to stand here."""


@dataclass(frozen=True)
class Why:
    """Why a list is as it is."""

    items: Sequence[Because]
    outcomes: Sequence[str]
    """What is expected, named as in ``Because.outcomes``; nothing without a ranker."""
    has_chance: bool
    """Whether anything in the list was left to chance."""
    total_ms: float | None
    timings_ms: Sequence[tuple[str, float]]
    """The stages and sources that it is made of."""
    versions: Mapping[str, str]
    degraded: Sequence[str]
    n_found: int


@dataclass(frozen=True)
class Shelf:
    """A list on a page. ``is_in_order`` False: shown otherwise than it was chosen, so nothing is learned of it."""

    name: str
    slate_id: str
    placement: str
    cards: Sequence[Card]
    why: Why
    is_in_order: bool = True


def make_shelf(shop: Shop, name: str, response: Response, words: Words, *, most: int | None = None) -> Shelf:
    """The list of ``response`` called ``name`` on the page; at most ``most`` of its items."""
    slate = response.slate
    items = {item.item_id: item for item in shop.read_items(slate.item_ids[:most])}
    cards = [
        _with_marks(card_of(items[item_id], words, slate.slate_id, slot), response)
        for slot, item_id in enumerate(slate.item_ids[:most])
        if item_id in items
    ]
    return Shelf(name, slate.slate_id, slate.placement, cards, _why(shop, response, cards, words))


def card_of(item: Item, words: Words, slate_id: str | None = None, slot: int = 0) -> Card:
    """An item as a card; its address tells the list it was opened from."""
    address = f"/item/{as_path(item.item_id)}"
    title = item.text(words.language).title
    return Card(
        item_id=item.item_id,
        slot=slot,
        title=title,
        brand=words.name(item.brand) if item.brand else None,
        price=None if item.price_minor is None else price(item.price_minor, item.currency, words.language),
        price_minor=item.price_minor,
        picture=picture_of(item, title),
        address=address if slate_id is None else f"{address}?list={as_path(slate_id)}&slot={slot}",
        stock=stock_of(item),
        kind=item.kind.value,
    )


def _with_marks(card: Card, response: Response) -> Card:
    """With what the answer says of the item beside its record."""
    highlight = (response.highlights or {}).get(card.item_id)
    n_more = (response.n_more_variants or {}).get(card.item_id, 0)
    if highlight is None:
        return replace(card, n_more_variants=n_more)
    snippet = highlight.snippet
    return replace(
        card,
        n_more_variants=n_more,
        marked=Markup(highlight.title.html),
        snippet=None if snippet is None else Markup(snippet.html),
    )


def stock_of(item: Item) -> Stock:
    """Whether it can be bought now."""
    if item.kind is not ItemKind.PRODUCT or not item.is_available or item.stock == 0:
        return "none"
    if item.stock is None:
        return "uncounted"
    return "few" if item.stock <= FEW else "plenty"


def _why(shop: Shop, response: Response, cards: Sequence[Card], words: Words) -> Why:
    slots = response.slate.slots
    try:
        explained = {slot.item_id: slot for slot in shop.explain(response.slate.slate_id, words.language).slots}
    except AisleError as error:
        log.warning("a list is shown without its reasons: %s", error)
        explained = {}
    items = []
    for card in cards[:MOST_EXPLAINED]:
        slot, told = slots[card.slot], explained.get(card.item_id)
        shares = (
            [(name, round(100 * share)) for name, share in sorted(told.sources.items(), key=lambda pair: -pair[1])]
            if told
            else [(name, None) for name in slot.scores]
        )
        items.append(
            Because(
                title=card.title,
                sources=[(_named(words, "source", name), share) for name, share in shares if share != 0],
                outcomes={
                    _named(words, "outcome", name): _expected(name, value, shop.settings.shop.currency, words)
                    for name, value in slot.outcomes.items()
                    if name != "score"
                },
                reasons=[reason.text for reason in told.reasons[:2]] if told else [],
                chance=f"{slot.propensity:.1%}",
            )
        )
    return Why(
        items=items,
        outcomes=list(dict.fromkeys(name for item in items for name in item.outcomes)),
        has_chance=any(slot.propensity < 1 for slot in slots),
        total_ms=response.timings_ms.get(TOTAL),
        timings_ms=[(_stage(words, name), took) for name, took in response.timings_ms.items() if name != TOTAL],
        versions=response.slate.versions,
        degraded=response.degraded,
        n_found=response.n_found,
    )


def _named(words: Words, kind: str, name: str) -> str:
    key = f"{kind}_{name}"
    return words(key) if words.has(key) else name


def _stage(words: Words, name: str) -> str:
    kind, _, source = name.partition(".")
    return _named(words, kind, source) if source else _named(words, "stage", name)


def _expected(name: str, value: float, currency: str, words: Words) -> str:
    if name in ("click", "purchase"):
        return f"{value:.1%}"
    return price(to_minor(value, currency), currency, words.language)
