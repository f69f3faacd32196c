"""Labelled tables as they are named on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from aisle.errors import ConfigError, DataError
from aisle.ingest.text_tables import all_labels, labels_in, read_table, texts_in
from aisle.language.finetune_config import Kind, TaskConfig
from aisle.language.labelled_texts import LabelledTexts

TAG_SEPARATOR = "|"
_HOW = (
    "write NAME=KIND:COLUMN, such as opinion=binary:liked, intent=classes:intent, tags=tags:tags; "
    f"kinds are {', '.join(get_args(Kind))}; binary may say which value means yes: opinion=binary:stars=good"
)
_YES = frozenset({"1", "1.0", "yes", "y", "true", "t", "positive", "good", "是", "有", "好评", "正面"})
"""Values of a column that mean yes when its other value is none of them, in any case."""


def read_labelled(
    files: Sequence[Path], text: str, second: str | None, tasks: Sequence[str]
) -> tuple[list[LabelledTexts], list[TaskConfig]]:
    """Tables and tasks; labels are those that occur.

    Args:
        files: tables.
        text: column, or columns with commas between, of the text.
        second: column of what each is looked at together with.
        tasks: ``NAME=KIND:COLUMN`` each; of ``binary`` also ``NAME=binary:COLUMN=VALUE``, where ``VALUE`` means yes.
            Otherwise it is what is commonly said for yes, or the second in alphabetical order.

    Raises:
        ConfigError: a task is not written so.
        DataError: a file or column is missing or wrong.
    """
    parsed = [_parsed(task) for task in tasks]
    if not parsed:
        raise ConfigError(f"no task is named; {_HOW}")
    frames = [(str(file), read_table(file)) for file in files]
    columns = {
        name: [labels_in(frame, column, TAG_SEPARATOR if kind == "tags" else None, source) for source, frame in frames]
        for name, kind, column, _ in parsed
    }
    known = dict(all_labels(columns))
    for name, kind, column, yes in parsed:
        if kind == "binary":
            known[name] = _no_and_yes(name, column, known[name], yes)
    tables = [
        LabelledTexts(
            source,
            texts_in(frame, text.split(","), source),
            {name: columns[name][number] for name in columns},
            None if second is None else [one or None for one in texts_in(frame, [second], source)],
        )
        for number, (source, frame) in enumerate(frames)
    ]
    return tables, [
        TaskConfig.parse({"name": name, "kind": kind, "labels": known[name]}, f"task {name!r}, column {column!r}")
        for name, kind, column, _ in parsed
    ]


def _parsed(task: str) -> tuple[str, Kind, str, str | None]:
    name, _, rest = task.partition("=")
    kind, _, column = rest.partition(":")
    yes = None
    if kind == "binary" and "=" in column:
        column, _, yes = column.rpartition("=")
    if not name or kind not in get_args(Kind) or not column or yes == "":
        raise ConfigError(f"task {task!r}: {_HOW}", setting="task")
    return name, cast(Kind, kind), column, yes


def _no_and_yes(task: str, column: str, labels: Sequence[str], yes: str | None) -> tuple[str, str]:
    """What means no and what means yes."""
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
