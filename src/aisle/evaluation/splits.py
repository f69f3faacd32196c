"""Parts a snapshot into what may be learned from and what is asked, so that nothing asked can be read off.

Enters: a ``Snapshot``. Leaves: a ``Split``. Within a user "later" follows the snapshot's order: time, then arrival.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain import EVENT_CODE, INTEREST_TYPES, EventType, Snapshot
from aisle.errors import DataError
from aisle.evaluation.cases import Cases, Split
from aisle.evaluation.targets import RowLists, Targets

JUDGMENT_COLUMNS = ("query", "item_row", "grade")


def leave_one_out(
    snapshot: Snapshot,
    *,
    validation: bool = False,
    types: Iterable[EventType] = INTEREST_TYPES,
    is_new_only: bool = True,
    min_history: int = 1,
    max_cases: int | None = None,
    rng: np.random.Generator | None = None,
) -> Split:
    """Each user's last item is asked for; what they did before it is their history and stays in ``train``.

    Whatever a user did from the asked interaction on, of any type, is taken out of ``train``, also for users that
    ``max_cases`` leaves unasked, so that a sample estimates the figure of the whole. Users too short to be asked stay.
    Other users' later interactions stay: this protocol does not forbid learning tomorrow's fashion from others.

    Args:
        snapshot: everything known.
        validation: ask for the last but one item instead; the last one is then nowhere to be seen.
        types: what counts as showing interest; other types are never asked for nor part of a history.
        is_new_only: ask for the item that the user turned to last for the first time, so that no target is in its
            history; False asks for the very last interaction, repeated or not.
        min_history: users with fewer interactions before the target are not asked.
        max_cases: ask at most this many users, drawn with ``rng``.
        rng: needed with ``max_cases``.
    """
    wanted_types = tuple(types)
    if validation:
        test = leave_one_out(snapshot, types=wanted_types, is_new_only=is_new_only, min_history=min_history)
        snapshot = test.train
    log = _Log.of(snapshot, wanted_types)
    interest = np.flatnonzero(log.is_interest)
    turned_to = log.first_times(interest) if is_new_only else interest
    cut = np.full(snapshot.n_users, -1, dtype=np.int64)
    np.maximum.at(cut, log.users[turned_to], turned_to)
    before = interest[interest < cut[log.users[interest]]]
    is_asked = (cut >= 0) & (np.bincount(log.users[before], minlength=snapshot.n_users) >= min_history)
    users = _sample(np.flatnonzero(is_asked), max_cases, rng)
    asked = cut[users]
    cut[~is_asked] = len(log.users)
    train = snapshot.where(np.arange(len(log.users)) < cut[log.users])
    which = "last but one" if validation else "last"
    repeats = "first turned to, so never in the history" if is_new_only else "repeats included"
    protocol = (
        f"leave one out: the {which} item of each user ({repeats}) is asked for; train holds everything each user did "
        f"before it; users with at least {min_history} earlier interactions" + _drawn(max_cases, len(users))
    )
    targets = Targets.of(log.items[asked][:, None])
    return Split(train, log.cases(snapshot, users, before, log.times_ms[asked], targets), protocol)


def temporal(
    snapshot: Snapshot,
    cut_ms: int,
    *,
    until_ms: int | None = None,
    types: Iterable[EventType] = INTEREST_TYPES,
    is_new_only: bool = True,
    min_history: int = 1,
    max_cases: int | None = None,
    rng: np.random.Generator | None = None,
) -> Split:
    """Learn from everything before ``cut_ms``; ask for all the items each user turned to from then on.

    Args:
        snapshot: everything known. Items stay in ``train`` even if nobody had touched them before the cut.
        cut_ms: UTC milliseconds; an interaction at exactly this moment is asked for, not learned from.
        until_ms: asked interactions come before it; None takes all.
        types: what counts as showing interest.
        is_new_only: leave out targets that are in the user's history.
        min_history: users with fewer interactions before the cut are not asked; 0 also asks for unknown users.
        max_cases: ask at most this many users, drawn with ``rng``.
        rng: needed with ``max_cases``.
    """
    log = _Log.of(snapshot, types)
    is_before = log.times_ms < cut_ms
    before = np.flatnonzero(log.is_interest & is_before)
    later = np.flatnonzero(log.is_interest & ~is_before & (log.times_ms < (until_ms or np.iinfo(np.int64).max)))
    later = log.first_times(later)
    if is_new_only:
        later = later[~np.isin(log.pairs[later], log.pairs[before])]
    is_asked = np.bincount(log.users[later], minlength=snapshot.n_users) > 0
    is_asked &= np.bincount(log.users[before], minlength=snapshot.n_users) >= min_history
    users = _sample(np.flatnonzero(is_asked), max_cases, rng)
    owners, positions = log.of_users(users, later)
    items = RowLists.of_sorted(owners, log.items[positions], len(users))
    repeats = "new to the user" if is_new_only else "known to the user or not"
    protocol = (
        f"temporal: train holds everything before {cut_ms} ms; asked for are all items each user turned to from then "
        f"{'on' if until_ms is None else f'until {until_ms} ms'}, {repeats}; users with at least {min_history} earlier "
        "interactions" + _drawn(max_cases, len(users))
    )
    moments = np.full(len(users), cut_ms, dtype=np.int64)
    targets = Targets(items, np.ones(len(items.rows)))
    return Split(snapshot.where(is_before), log.cases(snapshot, users, before, moments, targets), protocol)


def query_disjoint(
    snapshot: Snapshot,
    judgments: pl.DataFrame,
    *,
    test_share: float = 0.25,
    relevant_from: float = 1.0,
    salt: str = "",
    max_cases: int | None = None,
    rng: np.random.Generator | None = None,
) -> Split:
    """Ask the queries whose hash falls into ``test_share``; the judgments of all others may be learned from.

    Spelling variants that ``normalised_query`` makes equal fall on the same side and become one case. The same query
    falls on the same side for ever, whatever else is in the data. Of repeated pairs the best grade counts.

    Args:
        snapshot: the catalogue and behaviour; it holds no queries and stays as it is.
        judgments: columns ``query`` (text), ``item_row``, ``grade``.
        test_share: expected share of queries that are asked, in (0, 1]; 1 asks all.
        relevant_from: grades from here on are relevant.
        salt: another text gives another split.
        max_cases: ask at most this many queries, drawn with ``rng``.
        rng: needed with ``max_cases``.
    """
    if not 0.0 < test_share <= 1.0:
        raise DataError(f"test_share is {test_share}; it must lie in (0, 1]", field="test_share")
    missing = [name for name in JUDGMENT_COLUMNS if name not in judgments.columns]
    if missing:
        raise DataError(f"judgments lack {missing}; wanted columns {list(JUDGMENT_COLUMNS)}", field=missing[0])
    texts = judgments["query"].unique(maintain_order=True).to_list()
    names = pl.DataFrame({"query": texts, "name": [normalised_query(text) for text in texts]})
    named = judgments.select(JUDGMENT_COLUMNS).join(names, on="query", how="left", maintain_order="left")
    shares = {name: _share_of(name, salt) for name in names["name"].unique().to_list()}
    is_test = np.array([shares[name] < test_share for name in named["name"].to_list()], dtype=np.bool_)
    asked = (
        named.filter(pl.Series(is_test))
        .group_by("name", maintain_order=True)
        .agg(pl.col("query").first(), "item_row", "grade")
    )
    drawn = _sample(np.arange(asked.height), max_cases, rng)
    asked = asked[drawn]
    pairs = (
        asked.with_row_index("case")
        .explode("item_row", "grade")
        .group_by("case", "item_row", maintain_order=True)
        .agg(pl.col("grade").max())
    )
    items = RowLists.of_sorted(pairs["case"].to_numpy(), pairs["item_row"].to_numpy(), asked.height)
    n = asked.height
    times = snapshot.interactions["time_ms"].max()
    cases = Cases(
        user_rows=np.full(n, -1, dtype=np.int64),
        user_ids=(None,) * n,
        times_ms=np.full(n, times if isinstance(times, int) else 0, dtype=np.int64),
        history=RowLists.of([[]] * n),
        history_types=np.empty(0, np.uint8),
        history_times_ms=np.empty(0, np.int64),
        targets=Targets(items, pairs["grade"].to_numpy().astype(np.float64), relevant_from),
        queries=tuple(asked["query"].to_list()),
    )
    protocol = (
        f"query disjoint: {test_share:.0%} of the queries by hash of the normalised text (salt {salt!r}) are asked, "
        f"the judgments of the others may be learned from; relevant from grade {relevant_from:g}; "
        "unjudged items count 0" + _drawn(max_cases, n)
    )
    return Split(snapshot, cases, protocol, judgments.filter(pl.Series(~is_test)))


def time_at_share(snapshot: Snapshot, share: float) -> int:
    """The moment before which about ``share`` (0..1) of the interactions lie; a cut for ``temporal``."""
    if not snapshot.interactions.height:
        raise DataError("there are no interactions to cut; bring in events first")
    times = snapshot.interactions["time_ms"].to_numpy()
    return int(times[min(int(share * len(times)), len(times) - 1)])


def normalised_query(text: str) -> str:
    """What decides whether two queries are the same: NFKC, lower case, words apart by one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True)
class _Log:
    """The interactions as arrays in the snapshot's order, (n,) each; ``pairs`` numbers each (user, item)."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    types: NDArray[np.uint8]
    times_ms: NDArray[np.int64]
    is_interest: NDArray[np.bool_]
    pairs: NDArray[np.int64]

    @classmethod
    def of(cls, snapshot: Snapshot, types: Iterable[EventType]) -> _Log:
        frame = snapshot.interactions
        users = frame["user_row"].to_numpy().astype(np.int64)
        items = frame["item_row"].to_numpy().astype(np.int64)
        codes = frame["type"].to_physical().to_numpy().astype(np.uint8)
        wanted = np.array([EVENT_CODE[EventType(event_type)] for event_type in types], dtype=np.uint8)
        pairs = users * max(snapshot.n_items, 1) + items
        return cls(users, items, codes, frame["time_ms"].to_numpy(), np.isin(codes, wanted), pairs)

    def first_times(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of ``positions`` (ascending) those where a user meets an item for the first time, ascending."""
        _, first = np.unique(self.pairs[positions], return_index=True)
        return positions[np.sort(first)]

    def of_users(
        self, users: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ``positions`` of ``users`` (ascending), as (place of the user in ``users``, position), by user."""
        kept = positions[np.isin(self.users[positions], users)]
        kept = kept[np.argsort(self.users[kept], kind="stable")]
        return np.searchsorted(users, self.users[kept]), kept

    def cases(
        self,
        snapshot: Snapshot,
        users: NDArray[np.int64],
        before: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        targets: Targets,
    ) -> Cases:
        """One case for each of ``users``, with what stands at the positions ``before`` as history."""
        owners, positions = self.of_users(users, before)
        return Cases(
            user_rows=users,
            user_ids=[snapshot.user_ids[int(row)] for row in users],
            times_ms=times_ms,
            history=RowLists.of_sorted(owners, self.items[positions], len(users)),
            history_types=self.types[positions],
            history_times_ms=self.times_ms[positions],
            targets=targets,
        )


def _sample(rows: NDArray[np.int64], n: int | None, rng: np.random.Generator | None) -> NDArray[np.int64]:
    if n is None or n >= len(rows):
        return rows
    if rng is None:
        raise DataError(f"drawing {n} of {len(rows)} cases needs an rng, so that it can be repeated", field="rng")
    return np.sort(rng.choice(rows, size=n, replace=False))


def _drawn(max_cases: int | None, n: int) -> str:
    return "" if max_cases is None else f"; at most {max_cases} cases, drawn at random ({n} asked)"


def _share_of(text: str, salt: str) -> float:
    digest = hashlib.blake2b(text.encode(), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
