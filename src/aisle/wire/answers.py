"""Answers: lists, suggestions and reasons."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from aisle.wire.problems import Problem
from aisle.wire.records import ListedItem
from aisle.wire.values import Told


class Reason(Told):
    """One reason in words; `code` names it for programs, `strength` orders reasons."""

    code: str
    text: str
    strength: float


class Marked(Told):
    """A text, or a piece of one, with the places that answer the query."""

    text: str
    language: str
    ranges: tuple[Annotated[tuple[int, ...], Field(min_length=2, max_length=2)], ...]
    """First character and the one after the last of each place within `text`, in Unicode code points."""
    begins: int
    """Where `text` begins in the item's text."""
    is_cut: bool
    """Whether the item's text goes on after `text`."""
    html: str
    """The same for a page: escaped, places in `<mark>`."""


class Highlight(Told):
    """Where an item answers the query."""

    title: Marked
    snippet: Marked | None
    """A piece of the description where words of the query stand; null where none do."""


class Relaxed(Told):
    """What was given up because nothing was found; see the guide."""

    step: str
    """`words`: `query` was searched for, without `dropped_words`; `filters`: without `dropped_filters`; `neighbours`:
    near in meaning, but not near enough to be found; `popular`: what is popular in `category`, or in the whole shop."""
    query: str | None
    dropped_words: tuple[str, ...]
    dropped_filters: tuple[str, ...]
    """`attributes`, `rating`, `price`, `sellers`, `brands`, `categories`."""
    category: str | None


class AnswerItem(Told):
    """One place of the list. Its position in `items`, from 0, is the `slot` that events send back."""

    item_id: str
    utility: float
    """What the list is ordered by; of a list in another order or a further page it only repeats the order."""
    propensity: float
    """The chance with which the item came to stand here; 1 where nothing is left to chance."""
    sources: dict[str, float]
    """Score of every source that knew the item."""
    outcomes: dict[str, float]
    """What is expected: probabilities of a click and a purchase, revenue and margin; empty without a trained ranker."""
    item: ListedItem | None = None
    """The item's record, with `with_items`."""
    reasons: tuple[Reason, ...] | None = None
    """Why it stands here, strongest first, with `explain`."""
    highlight: Highlight | None = None
    """With `with_highlights`."""
    n_more_variants: int | None = None
    """Of an item in a group: how many further variants were found and are not listed."""
    placed_by: str | None = None
    """Id of the query rule that pinned it here."""


class Facet(Told):
    """One value to narrow the list by, and how many of the items found have it."""

    value: str
    n_items: int


class CategoryFacet(Told):
    """One category to narrow the list by; what lies below it counts too."""

    value: str
    """The path, joined by ` > `."""
    n_items: int
    children: tuple[CategoryFacet, ...]
    """What lies just below, most frequent first."""


class AttributeFacet(Told):
    """One attribute to narrow the list by."""

    name: str
    n_items: int
    """Items found that have it."""
    values: tuple[Facet, ...]


class PriceFacet(Told):
    """A bucket of the price histogram: both bounds are included and can be sent back as filters."""

    lowest_minor: int
    highest_minor: int
    n_items: int


class RatingFacet(Told):
    """Items found whose mean rating is at least `least`, which can be sent back as `min_rating`."""

    least: int
    n_items: int


class Facets(Told):
    """How the items found spread, most frequent values first; prices in minor units of the shop's currency.

    Items are counted, each variant for itself. At most 50 categories and brands, 12 attributes of 20 values each.
    """

    categories: tuple[CategoryFacet, ...]
    """The roots, with what lies below them."""
    brands: tuple[Facet, ...]
    attributes: tuple[AttributeFacet, ...]
    """Those asked for first, then those that most of the items have."""
    prices: tuple[PriceFacet, ...]
    """About ten buckets of round bounds, from the lowest up."""
    ratings: tuple[RatingFacet, ...]
    """From the highest down."""
    lowest_price_minor: int | None
    highest_price_minor: int | None
    n_in_stock: int


class Guess(Told):
    """One thing that the query may mean, and how probable that is."""

    value: str
    probability: float
    name: str | None = None
    """Of an attribute."""


class PriceRange(Told):
    """Prices that the query asks for, in minor units of the shop's currency; null where the range is open."""

    low_minor: int | None
    high_minor: int | None
    probability: float
    is_limit: bool
    """Whether it is sure enough (settings: `understanding`) to limit the list where the question sets no prices."""


class Respelling(Told):
    """Another spelling of the query."""

    text: str
    """The whole query so written, to be asked in its place."""
    probability: float
    """How sure it is."""
    is_searched: bool
    """True: this was searched for; ask with `as_typed` for what was typed. False: it is offered (did you mean)."""


class Understood(Told):
    """What was understood of a query, likeliest first."""

    searched: str
    """What was searched for: the text typed, without what became a limit, and as `spelling` writes it."""
    language: str | None
    intents: tuple[Guess, ...]
    """`product`, `category`, `brand`, `price`, `service`; probabilities sum to 1. Empty where nothing reads queries."""
    categories: tuple[Guess, ...]
    brands: tuple[Guess, ...]
    attributes: tuple[Guess, ...]
    price: PriceRange | None
    spelling: Respelling | None = None
    """Null where nothing seems misspelt."""


class Answer(Told):
    """A list, written down under `slate_id` before it is shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "slate_id": "0f0c1b7d2b3f4d0d9d5a0f3e8f7a6b5c",
                    "placement": "search",
                    "items": [
                        {
                            "item_id": "boots",
                            "utility": 1.5,
                            "propensity": 1.0,
                            "sources": {"lexical": 4.2, "semantic": 0.61},
                            "outcomes": {},
                        }
                    ],
                    "n_found": 7,
                    "degraded": [],
                    "timings_ms": {"retrieve": 3.1, "total": 4.0},
                }
            ]
        }
    )

    slate_id: str
    """Send it back with the events that follow from this list."""
    placement: str
    items: tuple[AnswerItem, ...]
    """Best first."""
    n_found: int
    """Candidates the list was chosen from."""
    cursor: str | None = None
    """Send it back, with the same question, for the next page; null on the last."""
    relaxed: Relaxed | None = None
    """What was given up because nothing was found; null when something was."""
    degraded: tuple[str, ...]
    """Parts that failed or were late; empty when all is well."""
    timings_ms: dict[str, float]
    """Milliseconds by stage; of a batch, of all its questions together."""
    facets: Facets | None = None
    """With `with_facets`."""
    language: str | None = None
    """Language of the reasons, with `explain`."""
    understood: Understood | None = None
    """Of a search."""
    rules: tuple[str, ...] = ()
    """Ids of the query rules that acted."""
    redirect: str | None = None
    """Address that a query rule leads to; the list stands nevertheless."""


class Answers(Told):
    """One answer for each question, in their order; a question that cannot be answered has its problem there."""

    answers: tuple[Answer | Problem, ...]


class Suggestion(Told):
    """One way to go on typing."""

    text: str
    kind: str
    """`query`, `category`, `brand` or `title`."""
    weight: float
    language: str


class Suggestions(Told):
    """Ways to go on typing, best first."""

    suggestions: tuple[Suggestion, ...]


class ExplainedItem(Told):
    """Why an item stands in its slot."""

    item_id: str
    sources: dict[str, float]
    """Share of each source in its having been found; they sum to 1."""
    outcomes: dict[str, float]
    propensity: float
    reasons: tuple[Reason, ...]


class Explanation(Told):
    """The reasons of a list, in its order."""

    slate_id: str
    placement: str
    language: str
    items: tuple[ExplainedItem, ...]
