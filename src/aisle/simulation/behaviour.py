"""A day in the simulated shop: who comes, what they look for, which lists they see and what they do with them.

Enters: the truth, the shelves and a day. Leaves: ``DayOfShopping``. Each visit is a home page and some searches, a
reminder of what is used up, and, after a purchase, a list of what goes with it. All visits of a day are drawn together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.simulation.config import DAY_MS
from aisle.simulation.queries import Queries, draw_queries
from aisle.simulation.responses import Responses, ShownLists, record_purchases, respond, start_of_day_ms
from aisle.simulation.shelves import Shelves, first_different
from aisle.simulation.truth import Truth

PLACEMENTS = ("home", "search", "buy-it-again", "frequently-bought-together")
HOME, SEARCH, AGAIN, TOGETHER = range(4)
N_SLOTS = 10
N_DRAWN = 30
N_IN_MIND = 8
HOME_SHARE = 0.6
"""Share of visits that look at the home page."""
MORE_SEARCHES = 0.7
"""Mean number of searches of a visit beyond the first."""
ON_ERRAND = 0.4
"""Share of searches of users with an errand that are about it, beyond those that would be anyway."""
REMINDED = 0.35
"""Chance a day that somebody with something used up comes by because of it."""
CONTENT_SLOT = 3
CONTENT_SHARE = 0.5
"""Share of home pages with an article, promotion or advertisement in the fourth slot."""
RELEVANCE_IN_RANKING = 1.5
HOUR_MS = 3_600_000
LIST_GAP_MS = 240_000
BASKET_TURN = 12
"""When the basket is looked at, in gaps between lists; searches come before."""
CHECKOUT_MS = BASKET_TURN * LIST_GAP_MS + 200_000
"""When a visit pays, from its beginning."""


@dataclass(frozen=True)
class Visits:
    """The visits of a day: users (each at most once) and when they begin."""

    user_rows: NDArray[np.int64]
    start_ms: NDArray[np.int64]


@dataclass(frozen=True)
class DayOfShopping:
    """Everything that happened on one day. ``parts`` are lists with their responses, in the order they happened."""

    day: int
    visits: Visits
    queries: Queries
    parts: tuple[tuple[ShownLists, Responses], ...]


def shop_one_day(truth: Truth, shelves: Shelves, day: int, rng: np.random.Generator) -> DayOfShopping:
    """Draw the day and record its purchases in the needs of ``truth``."""
    due_users, due_leaves = truth.needs.due(day, truth.population)
    visits = _visits(truth, day, due_users, rng)
    queries, searches = _searches(truth, shelves, visits, day, rng)
    browsing = _joined([_home(shelves, visits, day, rng), searches, _again(truth, visits, due_users, due_leaves)])
    responses = respond(truth, browsing, rng)
    record_purchases(truth, browsing, responses)
    together = _together(truth, shelves, visits, browsing, responses, rng)
    added = respond(truth, together, rng)
    record_purchases(truth, together, added)
    return DayOfShopping(day, visits, queries, ((browsing, responses), (together, added)))


def _visits(truth: Truth, day: int, due_users: NDArray[np.int64], rng: np.random.Generator) -> Visits:
    """Who comes: at random, more at weekends, and more of those who have used something up."""
    is_weekend = (day + truth.config.start_ms // DAY_MS + 3) % 7 >= 5
    chance = truth.population.visit_rate * (1.25 if is_weekend else 0.9)
    reminded = np.zeros(truth.population.n_users, dtype=np.bool_)
    reminded[due_users] = True
    chance = np.where(reminded, np.minimum(chance + REMINDED * truth.population.visit_rate**0.5, 0.9), chance)
    users = np.flatnonzero(rng.random(len(chance)) < chance)
    hour = np.clip(rng.normal(16.5, 4.0, len(users)), 0.0, 22.5)
    return Visits(users, start_of_day_ms(truth, day) + (hour * HOUR_MS).astype(np.int64))


def _home(shelves: Shelves, visits: Visits, day: int, rng: np.random.Generator) -> ShownLists:
    """Home pages: what is popular in the whole shop, and sometimes one thing that is not a product."""
    session = np.flatnonzero(rng.random(len(visits.user_rows)) < HOME_SHARE)
    drawn = shelves.draw_anywhere(len(session), N_SLOTS + 5, rng)
    items = first_different(drawn, -np.broadcast_to(np.arange(drawn.shape[1]), drawn.shape), N_SLOTS)
    content = shelves.draw_content(day, len(session), rng)
    if len(content):
        items[:, CONTENT_SLOT] = np.where(rng.random(len(session)) < CONTENT_SHARE, content, items[:, CONTENT_SLOT])
    return _lists(visits, session, items, HOME, 0)


def _searches(
    truth: Truth, shelves: Shelves, visits: Visits, day: int, rng: np.random.Generator
) -> tuple[Queries, ShownLists]:
    """Searches: a category the user cares for today, an item in mind, words for it, and what the old search found."""
    n_searches = 1 + rng.poisson(MORE_SEARCHES, len(visits.user_rows))
    session = np.repeat(np.arange(len(visits.user_rows)), n_searches)
    turn = np.arange(len(session)) - np.repeat(np.cumsum(n_searches) - n_searches, n_searches)
    users = visits.user_rows[session]
    queries = think_of_queries(truth, shelves, users, day, rng)
    found = shelves.draw(queries.leaf, N_DRAWN, rng)
    relevance = truth.relevance(queries, np.arange(len(users))[:, None], found)
    is_sold_out = truth.assortment.is_sold_out(found, day)
    keys = RELEVANCE_IN_RANKING * relevance + rng.gumbel(0.0, 1.0, relevance.shape) - 4.0 * is_sold_out
    items = first_different(found, keys, N_SLOTS)
    lists = _lists(visits, session, items, SEARCH, 1 + turn)
    query_row = np.arange(len(users))
    shown = truth.relevance(queries, query_row[:, None], np.maximum(items, 0))
    return queries, ShownLists(lists.user_rows, items, lists.time_ms, shown, query_row, lists.placement, lists.session)


def think_of_queries(
    truth: Truth, shelves: Shelves, user_rows: NDArray[np.integer], day: int, rng: np.random.Generator
) -> Queries:
    """What users search for on ``day``: a category they care for, the best of a few items in mind, in their words."""
    leaf = _category_in_mind(truth, user_rows, day, rng)
    thoughts = shelves.draw(leaf, N_IN_MIND, rng)  # (searches, thoughts)
    wish = truth.click(user_rows[:, None], thoughts, start_of_day_ms(truth, day), relevance=3.0)
    in_mind = thoughts[np.arange(len(user_rows)), np.argmax(wish * rng.gumbel(1.0, 0.3, wish.shape), axis=1)]
    return draw_queries(in_mind, truth.population.language[user_rows], truth.assortment, rng)


def _category_in_mind(
    truth: Truth, users: NDArray[np.integer], day: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The user's errand, or one leaf drawn by interest a little flattened, so that most of a shop is visited."""
    interest = 0.8 * truth.category_interest(users, day)
    browsed = np.argmax(interest + rng.gumbel(0.0, 1.0, interest.shape), axis=1)
    errand = truth.population.errand_on(users, day).astype(np.int64)
    on_errand = (errand >= 0) & (rng.random(len(users)) < ON_ERRAND)
    return np.where(on_errand, errand, browsed)


def _again(truth: Truth, visits: Visits, due_users: NDArray[np.int64], due_leaves: NDArray[np.int64]) -> ShownLists:
    """Reminders: what visitors bought last in the categories that are due."""
    session_of = np.full(truth.population.n_users, -1, dtype=np.int64)
    session_of[visits.user_rows] = np.arange(len(visits.user_rows))
    session = session_of[due_users]
    came = np.flatnonzero(session >= 0)
    came = came[np.argsort(session[came], kind="stable")]
    sessions, first, count = np.unique(session[came], return_index=True, return_counts=True)
    slot = np.arange(len(came)) - np.repeat(first, count)
    items = np.full((len(sessions), N_SLOTS), -1, dtype=np.int64)
    kept = slot < N_SLOTS
    row = np.repeat(np.arange(len(sessions)), count)
    items[row[kept], slot[kept]] = truth.needs.last_item[due_users[came], due_leaves[came]][kept]
    return _lists(visits, sessions, items, AGAIN, 0)


def _together(
    truth: Truth,
    shelves: Shelves,
    visits: Visits,
    browsing: ShownLists,
    responses: Responses,
    rng: np.random.Generator,
) -> ShownLists:
    """After a purchase: popular items of the categories that go with one thing bought."""
    bought = np.flatnonzero(responses.is_purchase)
    session, first = np.unique(browsing.session[responses.list_row[bought]], return_index=True)
    leaf = truth.assortment.leaf[responses.item_rows[bought[first]]].astype(np.int64)
    matrix = truth.vocabulary.together_matrix()
    has_any = matrix[leaf].any(axis=1)
    session, leaf = session[has_any], leaf[has_any]
    keys = np.where(matrix[leaf][:, None, :], rng.random((len(leaf), N_SLOTS + 5, matrix.shape[0])), -1.0)
    targets = np.argmax(keys, axis=2)
    drawn = shelves.draw(targets.ravel(), 1, rng).reshape(targets.shape)
    items = first_different(drawn, -np.broadcast_to(np.arange(drawn.shape[1]), drawn.shape), N_SLOTS)
    return _lists(visits, session, items, TOGETHER, BASKET_TURN)


def _lists(
    visits: Visits, session: NDArray[np.int64], items: NDArray[np.int64], placement: int, turn: NDArray[np.int64] | int
) -> ShownLists:
    n = len(session)
    return ShownLists(
        user_rows=visits.user_rows[session],
        item_rows=items,
        time_ms=visits.start_ms[session] + turn * LIST_GAP_MS,
        relevance=np.full(items.shape, np.nan, dtype=np.float32),
        query_row=np.full(n, -1, dtype=np.int64),
        placement=np.full(n, placement, dtype=np.int8),
        session=session,
    )


def _joined(lists: list[ShownLists]) -> ShownLists:
    fields = ShownLists.__dataclass_fields__
    return ShownLists(*(np.concatenate([getattr(part, name) for part in lists]) for name in fields))
