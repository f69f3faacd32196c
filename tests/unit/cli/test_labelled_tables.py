"""Labelled tables on a command line: which value means yes, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from aisle.cli.labelled import read_labelled
from aisle.errors import ConfigError, DataError

TEXTS = ["a good cup", "a bad cup", "a cup"]


def table(folder: Path, **columns: list[object]) -> Path:
    """A CSV of three texts."""
    file = folder / "rows.csv"
    pl.DataFrame({"text": TEXTS, **columns}).write_csv(file)
    return file


@pytest.mark.parametrize(
    ("values", "task", "labels"),
    [
        (["1", "0", "1"], "liked=binary:value", ("0", "1")),
        (["Yes", "none", "Yes"], "liked=binary:value", ("none", "Yes")),
        (["true", "untrue", "true"], "liked=binary:value", ("untrue", "true")),
        (["好评", "差评", "好评"], "liked=binary:value", ("差评", "好评")),
        (["left", "stays", "left"], "liked=binary:value", ("left", "stays")),
        (["left", "stays", "left"], "liked=binary:value=left", ("stays", "left")),
    ],
)
def test_what_means_yes(tmp_path, values, task, labels) -> None:
    tables, tasks = read_labelled([table(tmp_path, value=values)], "text", None, [task])

    assert [(one.name, one.kind, one.labels) for one in tasks] == [("liked", "binary", labels)]
    assert list(tables[0].labels["liked"]) == values


def test_tables_share_labels_and_may_lack_some(tmp_path) -> None:
    first = table(tmp_path, topic=["fit", None, "colour"], tags=["a|b", "", "b"], title=["T", None, "U"])

    tables, tasks = read_labelled([first], "title,text", "text", ["topic=classes:topic", "tags=tags:tags"])

    assert [one.labels for one in tasks] == [("colour", "fit"), ("a", "b")]
    assert list(tables[0].texts) == ["T. a good cup", "a bad cup", "U. a cup"]
    assert tables[0].second == TEXTS
    assert list(tables[0].labels["topic"]) == ["fit", None, "colour"]
    assert tables[0].labels["tags"][0] == ["a", "b"]


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [
        ("liked", ConfigError, "write NAME=KIND:COLUMN"),
        ("liked=stars:value", ConfigError, "kinds are binary, classes, tags"),
        ("liked=binary:value=", ConfigError, "which value means yes"),
        ("liked=binary:value=maybe", DataError, "no value 'maybe' that could mean yes; there are no, yes"),
        ("liked=binary:stars", DataError, "has the labels 1, 2, 3; binary takes two: .* liked=classes:stars"),
        ("liked=binary:velue", DataError, "'value'"),
        ("Liked=binary:value", ConfigError, "task 'Liked', column 'value'.name = 'Liked'"),
        ("same=classes:same", ConfigError, "needs 2 labels to choose from"),
    ],
)
def test_a_wrong_task_is_told(tmp_path, task, kind, message) -> None:
    file = table(tmp_path, value=["yes", "no", "yes"], stars=[1, 2, 3], same=["x", "x", "x"])

    with pytest.raises(kind, match=message):
        read_labelled([file], "text", None, [task])
