"""What candidate sources are asked under examination: every form of request a shop can make of its tiny shop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aisle.domain import EVENT_CODE, EventType, Filters, Query, Request, Snapshot, UserState
from aisle.domain.requests import NO_ROWS

PLACEMENT = "checked"
QUERIES = (
    "waterproof boots",
    "雨伞",
    "龙井",
    "zzzz qqqq",
    "",
    "   ",
    '"unclosed AND (title:',
    "-kettle +boots* ~2 [a TO b] \\",
    "\x00\u202e\ud7ff🙂",
    "boots " * 500,
)
"""Ordinary, bilingual, unknown, empty and hostile."""


def frozen(rows: list[int]) -> NDArray[np.int64]:
    """An array that nobody may write to."""
    array = np.array(rows, dtype=np.int64)
    array.setflags(write=False)
    return array


def state_of(snapshot: Snapshot, user_row: int) -> UserState:
    """What one user of the snapshot did, oldest first."""
    mine = snapshot.interactions.filter(snapshot.interactions["user_row"] == user_row)
    arrays = (
        mine["item_row"].to_numpy().astype(np.int64),
        mine["type"].to_physical().to_numpy().astype(np.uint8),
        mine["time_ms"].to_numpy().astype(np.int64),
    )
    for array in arrays:
        array.setflags(write=False)
    return UserState(snapshot.user_ids[user_row], *arrays)


def ordinary_requests(snapshot: Snapshot, now_ms: int) -> list[Request]:
    """Known users, item pages, baskets, searches and a category; none of it unknown or limited."""
    requests = [Request(PLACEMENT, now_ms, state_of(snapshot, row)) for row in range(snapshot.n_users)]
    requests += [Request(PLACEMENT, now_ms, anchor_rows=frozen([row])) for row in range(snapshot.n_items)]
    requests += [Request(PLACEMENT, now_ms, anchor_rows=frozen([0, snapshot.n_items // 2]))]
    requests += [Request(PLACEMENT, now_ms, state_of(snapshot, 0), anchor_rows=frozen([snapshot.n_items - 1]))]
    requests += [Request(PLACEMENT, now_ms, query=Query(text)) for text in QUERIES]
    requests += [Request(PLACEMENT, now_ms, query=Query("green tee", corrected="green tea", language="en"))]
    requests += [Request(PLACEMENT, now_ms, filters=Filters(categories=("Kitchen",)))]
    return requests


def strange_requests(snapshot: Snapshot, now_ms: int) -> list[Request]:
    """Nothing known, items and users nobody has heard of, moments out of order, limits of the wrong length.

    Rows of a ``UserState`` are always rows of the catalogue; anchors come from outside and may be anything.
    """
    n = snapshot.n_items
    beyond = frozen([-1, n, n + 1_000])
    view = EVENT_CODE[EventType.VIEW]
    early = frozen([0] if n else [])
    future = UserState("stranger-1", early, np.full(len(early), view, np.uint8), np.full(len(early), now_ms * 2))
    known = state_of(snapshot, 0) if snapshot.n_users else UserState.empty("stranger-2")
    return [
        Request(PLACEMENT, now_ms),
        Request(PLACEMENT, now_ms, UserState.empty("stranger-3")),
        Request(PLACEMENT, now_ms, future),
        Request(PLACEMENT, now_ms, anchor_rows=beyond),
        Request(PLACEMENT, 0, known),
        Request(PLACEMENT, now_ms, known, allowed=np.zeros(0, np.bool_)),
        Request(PLACEMENT, now_ms, known, allowed=np.ones(n + 50, np.bool_)),
        Request(PLACEMENT, now_ms, known, excluded_rows=beyond),
        Request(PLACEMENT, now_ms, known, filters=Filters(categories=("Nowhere > At all",), brands=("None",))),
    ]


def request_about(item_row: int, now_ms: int) -> list[Request]:
    """Somebody unknown who looked at one item, and that item's page."""
    rows, times = frozen([item_row]), frozen([now_ms - 1])
    looked = UserState("stranger-4", rows, np.full(1, EVENT_CODE[EventType.VIEW], np.uint8), times)
    return [Request(PLACEMENT, now_ms, looked), Request(PLACEMENT, now_ms, anchor_rows=rows)]


def limited(request: Request, allowed: NDArray[np.bool_] | None, excluded: list[int] | None = None) -> Request:
    """The same request with limits that may not be written to."""
    if allowed is not None:
        allowed = allowed.copy()
        allowed.setflags(write=False)
    return replace(request, allowed=allowed, excluded_rows=NO_ROWS if excluded is None else frozen(excluded))
