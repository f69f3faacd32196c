"""What does each user take next? Full ranking over the whole catalogue, through the product.

    python -m benchmarks.sequential --sequences Beauty.sequences.parquet --items Beauty.items.parquet

Sequences: ``user``, ``items`` (a list, oldest first); items: ``item`` and what ``amazon2014.items.toml`` names. Of each
user the last item is asked for, everything before it is history and is learned from. With ``--validation`` the last
item is set aside and the last but one is asked for. With ``--test FILE`` (the same columns) only the file's users are
asked, for the last item of their row there; ``--sequences`` is then learned from whole, and a test row's items before
its last are added to its user's history, those the sequences have already left out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import linalg

from aisle.domain import Filters
from benchmarks.result import Run
from benchmarks.single_target import CUTOFFS, metrics_at, ranks_in_lists, ranks_in_scores
from benchmarks.temporary_shop import fill, temporary_shop

USERS_AT_ONCE = 2_000
PEER_RIDGE = 50.0
PEER_DECAY = 0.8
PLAIN = "diversity = 0.0\nexplore.share = 0.0\n"
"""What is measured is the order of the sources, without the home list's variety and chance."""
PROTOCOL = (
    "{split}; full ranking over all items of the items file; history removed; the order within one day is the file's "
    "(sorted by item code there, which helps models of order); fitted on {fitted}; system: source(s) {sources} through "
    "import, train and recommend, which also see the items file's attributes; peers: popularity, item cosine and EASE "
    f"(lambda {PEER_RIDGE:g}), the last two scored on the history x {PEER_DECAY}^age, ids only; one run"
)


@dataclass(frozen=True)
class Question:
    """Histories that are learned from (everyone's), and who is asked for what: ``user_rows[k]`` for ``targets[k]``."""

    users: list[str]
    histories: list[list[int]]
    user_rows: NDArray[np.int64]
    targets: list[int]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=Path, required=True)
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="ask this file's users for the last item of their row")
    parser.add_argument("--source", action="append", help="candidate source, repeatable (default: linear)")
    parser.add_argument("--validation", action="store_true", help="ask for the last but one item")
    parser.add_argument("--settings", default="", help="TOML put behind the shop's settings, to try a setting")
    given = parser.parse_args()
    sources = given.source or ["linear"]
    question, split, fitted = read_question(given.sequences, given.test, given.validation)
    run = Run("sequential", PROTOCOL.format(split=split, fitted=fitted, sources=", ".join(sources)))
    run.say(f"{len(question.users)} users, {len(question.targets)} asked")
    lists = ask_shop(question, given.items, sources, given.settings, run)
    system = metrics_at(ranks_in_lists(lists, [str(target) for target in question.targets]))
    run.say(f"system: {system}")
    run.finish(system, measure_peers(question, pl.read_parquet(given.items)["item"].to_list(), run))


def read_question(sequences: Path, test: Path | None, is_validation: bool) -> tuple[Question, str, str]:
    """Histories and targets, the split in words and what is fitted on in words."""
    frame = pl.read_parquet(sequences, columns=["user", "items"]).with_columns(pl.col("user").cast(pl.String))
    users, items = frame["user"].to_list(), frame["items"].to_list()
    if test is None:
        if is_validation:
            items = [row[:-1] for row in items]
        asked = np.array([k for k, row in enumerate(items) if row], dtype=np.int64)
        question = Question(users, [row[:-1] for row in items], asked, [items[k][-1] for k in asked])
        if is_validation:
            return question, "leave-one-out, each user's last but one item", "all items but each user's last two"
        return question, "leave-one-out, each user's last item", "all items but each user's last"
    row_of = {user: row for row, user in enumerate(users)}
    given = pl.read_parquet(test, columns=["user", "items"]).with_columns(pl.col("user").cast(pl.String))
    asked, targets = [], []
    for user, row in given.iter_rows():
        if not row:
            continue
        if user not in row_of:
            row_of[user] = len(users)
            users.append(user)
            items.append([])
        known = set(items[row_of[user]])
        items[row_of[user]] = items[row_of[user]] + [item for item in row[:-1] if item not in known]
        asked.append(row_of[user])
        targets.append(row[-1])
    question = Question(users, items, np.array(asked, dtype=np.int64), targets)
    fitted = "the whole sequences file and the test rows' items before their last"
    return question, "the last item of each row of a separate test file", fitted


def ask_shop(question: Question, items: Path, sources: Sequence[str], settings: str, run: Run) -> list[tuple[str, ...]]:
    """The product's list for each question, best first."""
    names = ", ".join(f'"{source}"' for source in sources)
    placement = f"sources = [{names}]\nbackfill = []\nsize = {max(CUTOFFS)}\n"
    toml = f"[placement.recommended-for-you]\n{placement}{PLAIN}{settings}\n"
    with tempfile.TemporaryDirectory() as folder, temporary_shop(toml, clock=_after_everything) as shop:
        path = Path(folder) / "histories.parquet"
        pl.DataFrame(
            {"user": question.users, "items": question.histories},
            schema={"user": pl.String, "items": pl.List(pl.Int64)},
        ).write_parquet(path)
        fill(shop, {"amazon2014.items": items, "amazon2014.sequences": path}, run)
        shop.train(list(sources))
        run.say("trained")
        lists: list[tuple[str, ...]] = []
        for start in range(0, len(question.user_rows), USERS_AT_ONCE):
            asked = [question.users[row] for row in question.user_rows[start : start + USERS_AT_ONCE]]
            responses = shop.recommend_many(asked, filters=Filters(has_seen=False))
            lists += [response.item_ids for response in responses]
            if responses[0].degraded:
                raise SystemExit(f"the shop answered without {', '.join(responses[0].degraded)}")
        run.say("asked")
        return lists


def _after_everything() -> int:
    return 1_500_000_000_000  # 2017: the mapping counts a day an item from 2014 on


def measure_peers(question: Question, item_ids: list[int], run: Run) -> dict[str, dict[str, float]]:
    """Popularity, item cosine and EASE on the same histories and questions, in plain numpy."""
    column = {item: position for position, item in enumerate(item_ids)}
    rows = np.repeat(np.arange(len(question.users)), [len(row) for row in question.histories])
    columns = np.array([column[item] for row in question.histories for item in row], dtype=np.int64)
    ages = np.concatenate([np.arange(len(row))[::-1] for row in question.histories] or [np.empty(0)])
    shape = (len(question.users), len(item_ids))
    taken = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    taken.data[:] = 1.0
    newest = (PEER_DECAY**ages).astype(np.float32)
    weighted = sp.csr_matrix((newest, (rows, columns)), shape=shape)[question.user_rows]
    had = taken[question.user_rows]
    targets = np.array([column.get(target, -1) for target in question.targets], dtype=np.int64)
    counts = np.asarray(taken.sum(axis=0)).ravel()
    together = (taken.T @ taken).toarray().astype(np.float32, copy=False)
    results = {"popularity": _measure(_repeated(counts, len(targets)), had, targets)}
    norms = np.sqrt(np.maximum(counts, 1.0)).astype(np.float32)
    cosine = together / norms[:, None]
    cosine /= norms[None, :]
    np.fill_diagonal(cosine, 0.0)
    results["item cosine"] = _measure(_products(weighted, cosine), had, targets)
    del cosine
    run.say(f"peers: {results}")
    together[np.arange(len(counts)), np.arange(len(counts))] += np.float32(PEER_RIDGE)
    weights = linalg.inv(together, overwrite_a=True, check_finite=False)  # in place: 1.3 GB at 18,000 items
    del together
    weights /= -np.diag(weights).copy()[None, :]
    np.fill_diagonal(weights, 0.0)
    results["EASE"] = _measure(_products(weighted, weights), had, targets)
    return results


def _products(weighted: sp.csr_matrix, matrix: NDArray[np.float32]) -> Iterator[NDArray[np.floating]]:
    for start in range(0, len(weighted.indptr) - 1, USERS_AT_ONCE):
        yield weighted[start : start + USERS_AT_ONCE] @ matrix


def _repeated(scores: NDArray[np.floating], n: int) -> Iterator[NDArray[np.floating]]:
    for start in range(0, n, USERS_AT_ONCE):
        yield np.broadcast_to(scores, (min(USERS_AT_ONCE, n - start), len(scores)))


def _measure(
    scores: Iterator[NDArray[np.floating]], had: sp.csr_matrix, targets: NDArray[np.int64]
) -> dict[str, float]:
    ranks: list[NDArray[np.int64]] = []
    start = 0
    for block in scores:
        stop = start + len(block)
        ranks.append(ranks_in_scores(block, targets[start:stop], had[start:stop].toarray() > 0))
        start = stop
    return metrics_at(np.concatenate(ranks))


if __name__ == "__main__":
    main()
