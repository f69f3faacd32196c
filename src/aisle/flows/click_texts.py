"""Clicks and purchases as labelled texts: an item's text, beside the query or what the user looked at before.

Enters: lists as they were shown, and the events that answer to them. Leaves: a table for ``finetune`` with the tasks
``click`` and ``conversion``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from aisle.contracts import RecordStore
from aisle.domain import INTEREST_TYPES, EventType, Snapshot
from aisle.errors import NotReadyError
from aisle.flows.slate_pages import slates_after
from aisle.language.finetune_config import TaskConfig
from aisle.language.labelled_texts import LabelledTexts

CLICK = TaskConfig(name="click", kind="binary", labels=("no", "yes"))
CONVERSION = TaskConfig(name="conversion", kind="binary", labels=("no", "yes"))
SOURCE = "the shop's lists"
_HISTORY = 3
"""Items looked at before a list that stand for the user."""
_NEWEST_SLATES = 100_000


def click_texts(snapshot: Snapshot, records: RecordStore, texts: Sequence[str], most_rows: int) -> LabelledTexts:
    """A row a slot of the latest lists in which something was clicked: those without a click say little of texts.

    The second text is the query; where there is none, the last items that the user looked at before the list.

    Args:
        snapshot: items and behaviour.
        records: for lists and what came of them.
        texts: (n_items,) the items' texts.
        most_rows: the latest, at most.

    Raises:
        NotReadyError: no list was clicked.
    """
    row_of = {item_id: row for row, item_id in enumerate(snapshot.items.frame["item_id"])}
    after = records.seq_before_slates(_NEWEST_SLATES)
    clicked, bought = _answers(records, after)
    history = _History(snapshot, texts)
    found: list[tuple[str, str | None, bool, bool]] = []
    for slate in slates_after(records, after):
        if slate.slate_id not in clicked:
            continue
        beside = slate.query or history.before(slate.user_id, slate.time_ms)
        for item_id in slate.item_ids:
            row = row_of.get(item_id)
            if row is not None:
                of_click, of_purchase = clicked[slate.slate_id], bought.get(slate.slate_id, ())
                found.append((texts[row], beside, item_id in of_click, item_id in of_purchase))
    if not found:
        raise NotReadyError(
            "no list was shown and clicked in this shop yet: show lists and send events with their slate_id, or give a "
            "table",
            command="aisle serve",
        )
    latest = found[-most_rows:]
    yes = ("no", "yes")
    return LabelledTexts(
        SOURCE,
        [text for text, *_ in latest],
        {"click": [yes[one] for _, _, one, _ in latest], "conversion": [yes[one] for *_, one in latest]},
        [beside for _, beside, *_ in latest],
    )


def _answers(records: RecordStore, after: int) -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
    """Items that were clicked, and bought, by list; what was bought was clicked."""
    clicked: dict[str, set[str]] = defaultdict(set)
    bought: dict[str, set[str]] = defaultdict(set)
    wanted = [kind.value for kind in INTEREST_TYPES]
    for table in records.read_slate_events(after):
        rows = table.frame.filter(pl.col("type").is_in(wanted)).select("slate_id", "item_id", "type").drop_nulls()
        for slate_id, item_id, kind in rows.iter_rows():
            clicked[slate_id].add(item_id)
            if kind == EventType.PURCHASE.value:
                bought[slate_id].add(item_id)
    return clicked, bought


class _History:
    """What each user looked at, in order of time."""

    def __init__(self, snapshot: Snapshot, texts: Sequence[str]) -> None:
        self._texts = texts
        self._row_of = {user_id: row for row, user_id in enumerate(snapshot.user_ids)}
        looked = snapshot.interactions.filter(pl.col("type").is_in([kind.value for kind in INTEREST_TYPES])).sort(
            "user_row", "time_ms", maintain_order=True
        )
        self._times = looked["time_ms"].to_numpy()
        self._items = looked["item_row"].to_numpy()
        self._starts = np.searchsorted(looked["user_row"].to_numpy(), np.arange(len(snapshot.user_ids) + 1))

    def before(self, user_id: str | None, time_ms: int) -> str | None:
        row = self._row_of.get(user_id or "")
        if row is None:
            return None
        first, last = int(self._starts[row]), int(self._starts[row + 1])
        end = first + bisect_left(self._times[first:last].tolist(), time_ms)
        latest: list[int] = self._items[max(first, end - 2 * _HISTORY) : end][::-1].tolist()
        seen = list(dict.fromkeys(latest))[:_HISTORY]
        return " | ".join(self._texts[one] for one in seen) or None
