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
    f"kinds are {', '.join(get_args(Kind))}"
)


def read_labelled(
    files: Sequence[Path], text: str, second: str | None, tasks: Sequence[str]
) -> tuple[list[LabelledTexts], list[TaskConfig]]:
    """Tables and tasks; labels are those that occur.

    Args:
        files: tables.
        text: column, or columns with commas between, of the text.
        second: column of what each is looked at together with.
        tasks: ``NAME=KIND:COLUMN`` each.

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
        for name, kind, column in parsed
    }
    known = all_labels(columns)
    for name, kind, column in parsed:
        if kind == "binary" and len(known[name]) != 2:
            raise DataError(
                f"task {name!r}: column {column!r} has the labels {', '.join(known[name][:8]) or 'none'}; binary takes "
                "two, of which the second in alphabetical order means yes",
                field=column,
            )
    tables = [
        LabelledTexts(
            source,
            texts_in(frame, text.split(","), source),
            {name: columns[name][number] for name in columns},
            None if second is None else [one or None for one in texts_in(frame, [second], source)],
        )
        for number, (source, frame) in enumerate(frames)
    ]
    return tables, [TaskConfig(name=name, kind=kind, labels=known[name]) for name, kind, _ in parsed]


def _parsed(task: str) -> tuple[str, Kind, str]:
    name, _, rest = task.partition("=")
    kind, _, column = rest.partition(":")
    if not name or kind not in get_args(Kind) or not column:
        raise ConfigError(f"task {task!r}: {_HOW}", setting="task")
    return name, cast(Kind, kind), column
