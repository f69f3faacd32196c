"""Labelled tables on a command line: which value means yes, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from aisle.cli.labelled import counted, read_labelled
from aisle.errors import ConfigError, DataError

TEXTS = ["a good cup", "a bad cup", "a cup"]


def silent(_: str) -> None:
    """Nobody is told."""


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
    tables, tasks = read_labelled([table(tmp_path, value=values)], "text", None, [task], silent)

    assert [(one.name, one.kind, one.labels) for one in tasks] == [("liked", "binary", labels)]
    assert list(tables[0].labels["liked"]) == values


def test_tables_share_labels_and_may_lack_some(tmp_path) -> None:
    first = table(tmp_path, topic=["fit", None, "colour"], tags=["a|b", "", "b"], title=["T", None, "U"])

    tables, tasks = read_labelled([first], "title, text", "title", ["topic=classes:topic", "tags=tags:tags"], silent)

    assert [one.labels for one in tasks] == [("colour", "fit"), ("a", "b")]
    assert list(tables[0].texts) == ["T. a good cup", "a bad cup", "U. a cup"]
    assert tables[0].second == ["T", None, "U"]
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
        ("Liked=binary:value", ConfigError, "is named 'Liked'; a name is of small letters"),
        ("same=classes:same", DataError, "'same' says 'x' in every row"),
        ("same=tags:same", DataError, "has the same tags in every row"),
        ("empty=classes:empty", DataError, "has no label in"),
        ("text=classes:text", ConfigError, "--text and task 'text' both name the column 'text'"),
    ],
)
def test_a_wrong_task_is_told(tmp_path, task, kind, message) -> None:
    file = table(tmp_path, value=["yes", "no", "yes"], stars=[1, 2, 3], same=["x", "x", "x"], empty=["", " ", None])

    with pytest.raises(kind, match=message):
        read_labelled([file], "text", None, [task], silent)


def test_two_tasks_of_one_name_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="2 tasks are named 'a': --task a=classes:b and --task a=tags:c; give each"):
        read_labelled(
            [table(tmp_path, b=["x", "y", "x"])], "text", None, ["a=classes:b", "d=classes:b", "a=tags:c"], silent
        )


def test_numbers_that_are_no_classes_are_told(tmp_path) -> None:
    file = tmp_path / "prices.csv"
    pl.DataFrame({"text": [f"cup {n}" for n in range(30)], "price": [n / 7 for n in range(30)]}).write_csv(file)

    with pytest.raises(DataError, match="has 30 different labels in 30 rows, such as '0.0'; .*put numbers into groups"):
        read_labelled([file], "text", None, ["price=classes:price"], silent)


def test_rows_without_a_text_are_left_out_and_told(tmp_path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"text": "a cup", "use": "x", "tags": ["p"]}\n{"text": " ", "use": "y"}\n{"use": "y", "tags": ["p"]}\n'
        '{"text": "a pan", "use": "y", "tags": ["q", " p "]}\n'
    )
    told: list[str] = []

    tables, tasks = read_labelled([file], "text", "text", ["use=classes:use", "tags=tags:tags"], told.append)

    assert told == [f"{file}: 2 rows without a text are left out"]
    assert list(tables[0].texts) == ["a cup", "a pan"]
    assert tables[0].second == ["a cup", "a pan"]
    assert tables[0].labels == {"use": ["x", "y"], "tags": [["p"], ["q", "p"]]}
    assert counted(tables, tasks) == {"use": {"x": 1, "y": 1}, "tags": {"p": 2, "q": 1}}
