"""Texts and what people said of them, as a classifier learns from and is checked by.

Enters: tables of texts with labels. Leaves: one list of texts and, for each task, what is true of which. Knows nothing
of models. Every message names the table and the row.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array
from aisle.errors import DataError, unknown_name
from aisle.language.finetune_config import TaskConfig

Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Label = str | Sequence[str] | None
"""One of the task's labels; for ``tags`` a list of them, possibly empty; None where nothing is known."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class LabelledTexts:
    """One table.

    Args:
        source: names it in messages.
        texts: (n,) such as item texts.
        labels: by task, (n,) each; a task that is absent is not labelled in this table.
        second: (n,) what each text is looked at together with, such as a query or a user's history; None for nothing.
    """

    source: str
    texts: Sequence[str]
    labels: Mapping[str, Sequence[Label]]
    second: Sequence[str | None] | None = None


@dataclass(frozen=True)
class Truth:
    """What is true of texts for one task."""

    values: Float32Array
    """(n, n_labels) 1 where the label is right, else 0; 0 throughout where nothing is known."""
    is_known: BoolArray
    """(n,) whether the text is labelled for the task."""

    def at(self, rows: Int64Array) -> Truth:
        """Of some texts only."""
        return Truth(self.values[rows], self.is_known[rows])


@dataclass(frozen=True)
class Examples:
    """All tables together."""

    texts: Sequence[str]
    second: Sequence[str | None]
    truth: Mapping[str, Truth]

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, rows: Int64Array) -> Examples:
        """Some of them."""
        truth = {task: one.at(rows) for task, one in self.truth.items()}
        chosen: list[int] = rows.tolist()
        return Examples([self.texts[row] for row in chosen], [self.second[row] for row in chosen], truth)

    def digest(self) -> str:
        """Tells these examples from others."""
        digest = hashlib.sha256()
        for text, second in zip(self.texts, self.second, strict=True):
            digest.update(repr((text, second)).encode())
        for task, truth in self.truth.items():
            digest.update(task.encode() + truth.values.tobytes() + truth.is_known.tobytes())
        return digest.hexdigest()


def with_others(
    learned: Examples, checked: Examples, tables: Sequence[LabelledTexts], tasks: Sequence[TaskConfig]
) -> Examples:
    """``learned`` and after them the rows of ``tables`` whose text is not among those that are ``checked``.

    Raises:
        DataError: as ``read_examples``, but for too few rows.
    """
    held_out = {text_key(text) for text in checked.texts}
    texts, second = list(learned.texts), list(learned.second)
    values = {name: [one.values] for name, one in learned.truth.items()}
    known = {name: [one.is_known] for name, one in learned.truth.items()}
    by_name = {task.name: task for task in tasks}
    for table in tables:
        _check_columns(table, by_name)
        rows = [row for row, text in enumerate(table.texts) if text_key(text) not in held_out]
        texts += [table.texts[row] for row in rows]
        second += [table.second[row] if table.second else None for row in rows]
        for task in tasks:
            truth = _truth_in(table, task).at(np.array(rows, dtype=np.int64))
            values[task.name].append(truth.values)
            known[task.name].append(truth.is_known)
    truth = {name: Truth(np.concatenate(values[name]), np.concatenate(known[name])) for name in values}
    return Examples(texts, second, truth)


def read_examples(tables: Sequence[LabelledTexts], tasks: Sequence[TaskConfig], least_rows: int) -> Examples:
    """One list of all texts that are labelled for a task or more; the others teach nothing and are left out.

    Raises:
        DataError: columns of unlike length, a task or label that there is not, a task with fewer than ``least_rows``
            labelled rows, a label without an example.
    """
    by_name = {task.name: task for task in tasks}
    for table in tables:
        _check_columns(table, by_name)
    n_rows = sum(len(table.texts) for table in tables)
    truth = {}
    for task in tasks:
        parts = [_truth_in(table, task) for table in tables]
        values = np.concatenate([part.values for part in parts] or [np.zeros((0, len(task.labels)), np.float32)])
        known = np.concatenate([part.is_known for part in parts] or [np.zeros(0, np.bool_)])
        truth[task.name] = Truth(values, known)
    for task in tasks:
        _check_enough(task, truth[task.name], tables, least_rows)
    is_labelled = np.any([one.is_known for one in truth.values()], axis=0) if truth else np.zeros(n_rows, np.bool_)
    texts = [text for table in tables for text in table.texts]
    second = [one for table in tables for one in (table.second or [None] * len(table.texts))]
    return Examples(texts, second, truth).at(np.flatnonzero(is_labelled))


def split(examples: Examples, validation_share: float) -> tuple[Int64Array, Int64Array]:
    """Rows to learn from and rows to check by, decided by a hash of the text alone.

    Texts that differ in case and spaces only stand on the same side, whatever their second text; so does a text when
    others come or go, but at the border. Of every task about ``validation_share`` of the texts is checked by. Texts
    without which a label would have no example to learn from are learned.
    """
    place = places(examples.texts)
    is_checked = np.zeros(len(place), dtype=np.bool_)
    for truth in examples.truth.values():
        of_task = np.unique(place[truth.is_known])
        is_checked |= np.isin(place, of_task[: math.ceil(validation_share * len(of_task))])
    for truth in examples.truth.values():
        for label in truth.values.T:
            has_label = label > 0.5
            if not (has_label & ~is_checked).any():
                is_checked &= ~np.isin(place, place[has_label])
    return np.flatnonzero(~is_checked), np.flatnonzero(is_checked)


def in_two(checked: Examples, least: int) -> tuple[Examples, Examples]:
    """Texts to choose by and texts to measure what was chosen: about half each, decided by the text alone.

    Both are all of ``checked``, the same object, where either half would have fewer than ``least`` labelled texts of
    some task.
    """
    side = places(checked.texts) % 2
    halves = [checked.at(np.flatnonzero(side == one)) for one in (0, 1)]
    n_least = min(int(truth.is_known.sum()) for half in halves for truth in half.truth.values())
    return (halves[0], halves[1]) if n_least >= least else (checked, checked)


def places(texts: Sequence[str]) -> Int64Array:
    """(n,) each text's place among the different ones, ordered by a hash; alike for texts that differ in case and
    spaces only.
    """
    keys = [text_key(text) for text in texts]
    of_key = {key: hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest() for key in set(keys)}
    order = {key: place for place, key in enumerate(sorted(of_key, key=lambda key: (of_key[key], key)))}
    return np.array([order[key] for key in keys], dtype=np.int64)


def text_key(text: str) -> str:
    """The same for texts that differ in case and spaces only."""
    return " ".join(text.split()).casefold()


def _check_columns(table: LabelledTexts, tasks: Mapping[str, TaskConfig]) -> None:
    columns: dict[str, Sequence[object]] = dict(table.labels)
    for name in columns:
        if name not in tasks:
            raise DataError(f"{table.source}: {unknown_name('task', name, tasks)}", source=table.source, field=name)
    if table.second is not None:
        columns["second"] = table.second
    for name, column in columns.items():
        if len(column) != len(table.texts):
            raise DataError(
                f"{table.source}: {len(table.texts)} texts and {len(column)} values of {name!r}; give one a text, None "
                "where nothing is known",
                source=table.source,
                field=name,
            )


def _truth_in(table: LabelledTexts, task: TaskConfig) -> Truth:
    values = np.zeros((len(table.texts), len(task.labels)), dtype=np.float32)
    known = np.zeros(len(table.texts), dtype=np.bool_)
    places = {label: place for place, label in enumerate(task.labels)}
    for row, label in enumerate(table.labels.get(task.name, ())):
        if label is None:
            continue
        known[row] = True
        for one in _labels_of(label, task, table.source, row + 1):
            if one not in places:
                raise _wrong(unknown_name("label", _shown(one), task.labels), task, table.source, row + 1)
            values[row, places[one]] = 1.0
    return Truth(values, known)


def _labels_of(label: Label, task: TaskConfig, source: str, row: int) -> list[str]:
    if task.kind == "tags" and isinstance(label, list | tuple | set | frozenset):
        return [str(one) for one in label]
    if task.kind != "tags" and isinstance(label, str):
        return [label]
    allowed = "a list of labels, possibly empty" if task.kind == "tags" else "one label as text"
    raise _wrong(f"{_shown(label)!r} given; {task.kind} takes {allowed}, or None", task, source, row)


def _check_enough(task: TaskConfig, truth: Truth, tables: Sequence[LabelledTexts], least_rows: int) -> None:
    sources = ", ".join(table.source for table in tables) or "no table"
    n_known = int(truth.is_known.sum())
    if n_known < least_rows:
        raise DataError(
            f"task {task.name!r}: {n_known} labelled rows in {sources}, up to row {len(truth.is_known)}; needed are "
            f"{least_rows}: label more, or lower least_rows",
            source=sources,
            field=task.name,
        )
    for label, n_examples in zip(task.labels, truth.values.sum(axis=0), strict=True):
        if not n_examples:
            raise DataError(
                f"task {task.name!r}: no row of {sources} has the label {label!r}, {n_known} rows were read; label "
                "some, or take it out of the task's labels",
                source=sources,
                field=task.name,
            )


def _wrong(message: str, task: TaskConfig, source: str, row: int) -> DataError:
    return DataError(f"{source}, row {row}, task {task.name!r}: {message}", source=source, row=row, field=task.name)


def _shown(value: object) -> str:
    return str(value)[:_LONGEST_SHOWN]
