"""From what was asked to what sources read: outside names become rows, limits become masks.

Enters: asks and queries. Leaves: ``Request``, or the error of an ask that cannot be answered. Retrieves nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from aisle.domain import NO_VALUE, Catalogue, Filters, Query, Request, Sort, UserState
from aisle.domain.attributes import NO_PAIR
from aisle.domain.catalogue import Names, require_rows
from aisle.domain.requests import NO_ROWS
from aisle.domain.steering import UNSTEERED
from aisle.errors import AisleError, DataError
from aisle.flows.asks import Ask
from aisle.flows.degraded import Degraded
from aisle.flows.ruled import QUERY_RULES, by_rules, kept_by_rules, ruled
from aisle.flows.stages import UNDERSTANDING, Stages, known_statistics
from aisle.merchandising.compiled import NO_RULING
from aisle.settings import PlacementConfig

STATE_BY, READ_BY = 0.2, 0.3
"""Shares of the time for the answer by which the users' states must be there, and the queries be read."""


def understand(
    placement: str,
    config: PlacementConfig,
    asks: Sequence[Ask],
    queries: Sequence[Query | AisleError | None],
    stages: Stages,
    degraded: Degraded,
) -> list[Request | AisleError]:
    """A request for each ask, or what is wrong with it."""
    now_ms = stages.clock()
    user_ids = [ask.user_id for ask in asks]
    states = degraded.attempt(
        "user-state",
        STATE_BY,
        lambda: stages.states.read(user_ids),
        otherwise=lambda: [UserState.empty(user_id) for user_id in user_ids],
    )
    queries = read(asks, queries, stages, degraded)
    understood: list[Request | AisleError] = []
    for ask, query, state in zip(asks, queries, states, strict=True):
        try:
            if isinstance(query, AisleError):
                raise query
            understood.append(_request(placement, config, ask, query, state, now_ms, stages, degraded))
        except AisleError as error:
            understood.append(error)
    return understood


def read(
    asks: Sequence[Ask], queries: Sequence[Query | AisleError | None], stages: Stages, degraded: Degraded
) -> Sequence[Query | AisleError | None]:
    """The queries with what is guessed of them; as they were typed where nothing reads them."""
    reader = stages.lineup.in_service.reader
    if reader is None or not any(isinstance(query, Query) for query in queries):
        return queries

    def guess() -> list[Query | AisleError | None]:
        return [
            reader.read(query.text, ask.context.language, query.is_as_typed) if isinstance(query, Query) else query
            for ask, query in zip(asks, queries, strict=True)
        ]

    return degraded.attempt(UNDERSTANDING, READ_BY, guess, otherwise=lambda: list(queries))


def _request(
    placement: str,
    config: PlacementConfig,
    ask: Ask,
    query: Query | None,
    state: UserState,
    now_ms: int,
    stages: Stages,
    degraded: Degraded,
) -> Request:
    check_names(ask.filters, stages.catalogue)
    query = degraded.guard(
        QUERY_RULES, lambda: kept_by_rules(placement, config, ask, query, now_ms, stages), otherwise=lambda: query
    )
    if ask.filters.min_rating is not None or ask.sort in COUNTED:
        known_statistics(stages.lineup)
    limited = replace(ask, filters=priced(ask.filters, query))
    ruling, asked, steering = degraded.guard(
        QUERY_RULES,
        lambda: by_rules(placement, config, limited, query, now_ms, stages),
        otherwise=lambda: (NO_RULING, limited.filters, UNSTEERED),
    )
    filters = limits(asked, config)
    anchors = require_rows(stages.catalogue, ask.item_ids)
    nothing = np.zeros(0, dtype=np.bool_), anchors
    named = NO_VALUE if query is None else stages.catalogue.typed_row(query.text)
    allowed, excluded = degraded.guard(
        "eligibility",
        lambda: (steering.limited(stages.rules.allowed(filters, now_ms)), stages.rules.excluded(filters, state)),
        otherwise=lambda: nothing,  # what may be shown is not known, so nothing is
    )
    return Request(
        placement=placement,
        now_ms=now_ms,
        state=state,
        query=ruled(query, ruling, lambda text: _read_again(text, ask, stages, degraded)),
        anchor_rows=anchors,
        allowed=allowed,
        excluded_rows=np.union1d(excluded, anchors) if len(anchors) else excluded,
        named_rows=NO_ROWS if named == NO_VALUE else np.array([named], dtype=np.int64),
        filters=filters,
        context=ask.context,
        size=size_of(ask, config),
        sort=ask.sort,
        steering=steering,
    )


def _read_again(text: str, ask: Ask, stages: Stages, degraded: Degraded) -> Query:
    """What is guessed of ``text``, which stands in place of what was typed and is spelt as it is meant."""
    reader = stages.lineup.in_service.reader
    if reader is None:
        return Query(text)
    return degraded.guard(
        UNDERSTANDING, lambda: reader.read(text, ask.context.language, is_as_typed=True), otherwise=lambda: Query(text)
    )


def priced(asked: Filters, query: Query | None) -> Filters:
    """The caller's filters, with the price range of the query where the caller sets none.

    A range that was only guessed at stays in the query's text and limits nothing (``UnderstandingConfig``).
    """
    is_open = asked.min_price_minor is None and asked.max_price_minor is None
    if query is None or query.price is None or not query.price.is_limit or not is_open:
        return asked
    return replace(asked, min_price_minor=query.price.low_minor, max_price_minor=query.price.high_minor)


def limits(asked: Filters, config: PlacementConfig) -> Filters:
    """The caller's filters inside the placement's: a caller can narrow a placement, never widen it."""
    kinds = tuple(kind for kind in asked.kinds if kind in config.kinds) if asked.kinds else config.kinds
    if not kinds:
        wanted = ", ".join(kind.value for kind in asked.kinds)
        shown = ", ".join(kind.value for kind in config.kinds)
        raise DataError(f"kinds {wanted} are not shown in this placement; it shows {shown}", field="kinds")
    return replace(
        asked,
        kinds=kinds,
        has_seen=asked.has_seen and config.has_seen,
        has_bought=asked.has_bought and config.has_bought,
        is_in_stock_only=asked.is_in_stock_only or config.is_in_stock_only,
    )


def check_names(filters: Filters, catalogue: Catalogue) -> None:
    """Raises ``DataError`` for a category, brand, seller or attribute that no item has, naming the closest."""
    _check("category", "categories", filters.categories, catalogue.categories)
    _check("brand", "brands", filters.brands, catalogue.brands)
    _check("seller", "sellers", filters.sellers, catalogue.sellers)
    attributes = catalogue.attributes
    for name, values in filters.attributes.items():
        if not attributes.has(name):
            raise _unknown("attribute", name, "attributes", attributes.names)
        for value in values:
            if attributes.find(name, value) == NO_PAIR:
                raise _unknown(f"value of {name!r}", value, "attributes", attributes.values(name))


def _check(what: str, field: str, wanted: Iterable[str], names: Names) -> None:
    for name in wanted:
        if names.find(name) == NO_VALUE:
            raise _unknown(what, name, field, names.values)


def _unknown(what: str, name: str, field: str, known: Sequence[str]) -> DataError:
    hint = _closest(name, known)
    meant = f" Did you mean {hint!r}?" if hint else ""
    return DataError(f"no item has the {what} {name!r}.{meant}", field=field)


COUNTED: tuple[Sort, ...] = ("rating", "popularity")
"""Orders that need statistics."""
MOST_COMPARED = 500
"""Names an unknown one is compared with; each costs some 30 microseconds, and anybody may ask for made-up names."""


def _closest(name: str, known: Sequence[str]) -> str | None:
    """The known name most like ``name``, capitals aside; for a path also one that only ends like it.

    Of very many names only those that begin alike are looked at.
    """
    folded = {value.casefold(): value for value in reversed(known)}
    lowered = name.casefold()
    ends = min((value for value in folded if value.endswith(f" > {lowered}")), key=len, default=None)
    begin = [value for value in folded if value[:1] == lowered[:1] and abs(len(value) - len(lowered)) <= 3]
    close = difflib.get_close_matches(
        lowered, folded if len(folded) <= MOST_COMPARED else begin[:MOST_COMPARED], n=1, cutoff=0.6
    )
    found = ends or (close[0] if close else None)
    return None if found is None else folded[found]


def size_of(ask: Ask, config: PlacementConfig) -> int:
    """How many items are wanted; at most 1,000."""
    if ask.size is None:
        return config.size
    if not isinstance(ask.size, int) or not 1 <= ask.size <= 1000:
        raise DataError(f"size is {ask.size!r}; allowed are 1 to 1000", field="size")
    return ask.size
