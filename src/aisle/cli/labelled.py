"""Labelled tables as they are named on a command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from aisle.errors import ConfigError, DataError
from aisle.ingest.text_columns import columns_named, labels_in, labels_that_occur, seconds_in, tags_in, texts_in
from aisle.ingest.text_tables import read_table
from aisle.language.finetune_config import TASK_NAME, Kind, TaskConfig
from aisle.language.labelled_texts import LabelledTexts

TAG_SEPARATOR = "|"
TEXT = "text"
"""Column of the text where none is named."""
_HOW = (
    "write NAME=KIND:COLUMN, such as opinion=binary:liked, intent=classes:intent, tags=tags:tags; "
    f"kinds are {', '.join(get_args(Kind))}; binary may say which value means yes: opinion=binary:stars=good"
)
_YES = frozenset({"1", "1.0", "yes", "y", "true", "t", "positive", "good", "是", "有", "好评", "正面"})
"""Values of a column that mean yes when its other value is none of them, in any case."""
_MANY = 20
"""From so many labels on, a column with one label a row or nearly so is taken for no labels at all."""

Column = Sequence[str | list[str] | None]


@dataclass(frozen=True)
class _Asked:
    """A task as it is written."""

    name: str
    kind: Kind
    column: str
    yes: str | None


def read_labelled(
    files: Sequence[Path], text: str, second: str | None, tasks: Sequence[str], tell: Callable[[str], None]
) -> tuple[list[LabelledTexts], list[TaskConfig]]:
    """Tables and tasks; labels are those that occur.

    Args:
        files: tables.
        text: column, or columns with commas between, of the text.
        second: column of what each is looked at together with.
        tasks: ``NAME=KIND:COLUMN`` each; of ``binary`` also ``NAME=binary:COLUMN=VALUE``, where ``VALUE`` means yes.
            Otherwise it is what is commonly said for yes, or the second in alphabetical order.
        tell: hears of rows that are left out since they have no text.

    Raises:
        ConfigError: a task is not written so, or two have one name.
        DataError: a file or column is missing or wrong.
    """
    asked = [_parsed(task) for task in tasks]
    if not asked:
        raise ConfigError(f"no task is named; {_HOW}")
    check_names([one.name for one in asked], tasks)
    if not files:
        raise ConfigError("no --table is named; labels are learned from tables", setting="table")
    columns_of_text = columns_named("--text", text)
    _check_answers_are_not_read(asked, columns_of_text, second)
    tables = []
    for source, frame in [(str(file), read_table(file)) for file in files]:
        labels: dict[str, Column] = {
            one.name: tags_in(frame, one.column, TAG_SEPARATOR, source)
            if one.kind == "tags"
            else labels_in(frame, one.column, source)
            for one in asked
        }
        texts = texts_in(frame, columns_of_text, source)
        tables.append(_with_texts(LabelledTexts(source, texts, labels, seconds_in(frame, second, source)), tell))
    return tables, [_task(one, [table.labels[one.name] for table in tables], files) for one in asked]


def check_names(names: Sequence[str], written: Sequence[str]) -> None:
    """Every task has a name of its own.

    Raises:
        ConfigError: two have the same.
    """
    for name, n in Counter(names).items():
        if n > 1:
            alike = [one for own, one in zip(names, written, strict=True) if own == name]
            raise ConfigError(
                f"{n} tasks are named {name!r}: {' and '.join(f'--task {one}' for one in alike)}; give each a name of "
                "its own before the =",
                setting="task",
            )


def _check_answers_are_not_read(asked: Sequence[_Asked], columns_of_text: Sequence[str], second: str | None) -> None:
    for option, columns in (("--text", columns_of_text), ("--second", [second])):
        for one in asked:
            if one.column in columns:
                raise ConfigError(
                    f"{option} and task {one.name!r} both name the column {one.column!r}: the model would read the "
                    "answer and learn nothing of texts; name another column",
                    setting="task",
                )


def _with_texts(table: LabelledTexts, tell: Callable[[str], None]) -> LabelledTexts:
    """Without the rows that say nothing."""
    kept = [row for row, text in enumerate(table.texts) if text]
    n_left_out = len(table.texts) - len(kept)
    if n_left_out:
        tell(f"{table.source}: {n_left_out:,} rows without a text are left out")
    return LabelledTexts(
        table.source,
        [table.texts[row] for row in kept],
        {name: [column[row] for row in kept] for name, column in table.labels.items()},
        None if table.second is None else [table.second[row] for row in kept],
    )


def _task(asked: _Asked, columns: Sequence[Column], files: Sequence[Path]) -> TaskConfig:
    labels = labels_that_occur(columns)
    _check_labels(asked, labels, columns, ", ".join(map(str, files)))
    if asked.kind == "binary":
        labels = _no_and_yes(asked, labels)
    about = f"task {asked.name!r}, column {asked.column!r}"
    return TaskConfig.parse({"name": asked.name, "kind": asked.kind, "labels": labels}, about)


def _check_labels(asked: _Asked, labels: Sequence[str], columns: Sequence[Column], sources: str) -> None:
    known = [label for column in columns for label in column if label is not None]
    what = f"task {asked.name!r}: column {asked.column!r}"
    if not labels:
        why = f"{what} has no label in {sources}, with a text beside it; name the column that people filled in"
    elif asked.kind != "tags" and len(labels) == 1:
        why = f"{what} says {labels[0]!r} in every row of {sources}; a model learns to tell two labels or more apart"
    elif asked.kind == "tags" and all(set(labels) == set(tags) for tags in known):
        why = f"{what} has the same tags in every row of {sources}, so that there is nothing to tell apart"
    elif asked.kind != "tags" and len(labels) >= _MANY and len(labels) > len(known) / 2:
        why = (
            f"{what} has {len(labels)} different labels in {len(known)} rows, such as {labels[0][:40]!r}; each needs "
            "several rows: put numbers into groups, or name another column"
        )
    else:
        return
    raise DataError(why, source=sources, field=asked.column)


def _parsed(task: str) -> _Asked:
    name, _, rest = task.partition("=")
    kind, _, column = rest.partition(":")
    yes = None
    if kind == "binary" and "=" in column:
        column, _, yes = column.rpartition("=")
    if not name or kind not in get_args(Kind) or not column or yes == "":
        raise ConfigError(f"task {task!r}: {_HOW}", setting="task")
    if not TASK_NAME.fullmatch(name):
        raise ConfigError(
            f"task {task!r} is named {name!r}; a name is of small letters, digits, '_' and '-', and begins with a "
            "letter, such as opinion",
            setting="task",
        )
    return _Asked(name, cast(Kind, kind), column, yes)


def _no_and_yes(asked: _Asked, labels: Sequence[str]) -> tuple[str, str]:
    """What means no and what means yes."""
    task, column, yes = asked.name, asked.column, asked.yes
    if len(labels) != 2:
        raise DataError(
            f"task {task!r}: column {column!r} has the labels {', '.join(labels[:8]) or 'none'}; binary takes two: "
            f"mend the column, or write {task}=classes:{column}",
            field=column,
        )
    if yes is None:
        said = [label for label in labels if label.casefold() in _YES]
        yes = said[0] if len(said) == 1 else labels[1]
    if yes not in labels:
        raise DataError(
            f"task {task!r}: column {column!r} has no value {yes!r} that could mean yes; there are {', '.join(labels)}",
            field=column,
        )
    return (labels[0], labels[1]) if yes == labels[1] else (labels[1], labels[0])


def counted(tables: Sequence[LabelledTexts], tasks: Sequence[TaskConfig]) -> Mapping[str, Mapping[str, int]]:
    """By task and label, the rows that have it."""
    found: dict[str, Counter[str]] = {task.name: Counter(dict.fromkeys(task.labels, 0)) for task in tasks}
    for table in tables:
        for name, column in table.labels.items():
            for label in column:
                found[name].update([label] if isinstance(label, str) else label or ())
    return found
