"""Answers are on disk at once, survive a torn line, can be taken back, and are gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisle.errors import ConfigError, DataError
from aisle.ingest.label_book import LabelBook
from aisle.ingest.text_tables import read_table

TEXTS = ["fits well", 'says "no", twice', "line\nbreak", "很好", "  ", "fits well"]


def book(file: Path, texts=TEXTS, labels=("bad", "good")) -> LabelBook:
    return LabelBook(texts, labels, file)


def test_every_answer_is_on_disk_and_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "labels.csv"
    first = book(file)
    assert (first.n_open, first.next()) == (4, "fits well")

    for label in ("good", "bad", "good"):
        first.say(first.next() or "", label)

    assert read_table(file).rows() == [("fits well", "good"), ('says "no", twice', "bad"), ("line\nbreak", "good")]
    second = book(file)
    assert (second.n_labelled, second.n_open, second.next()) == (3, 1, "很好")
    assert second.counts() == {"bad": 1, "good": 2}


def test_the_last_answers_can_be_taken_back_in_turn(tmp_path: Path) -> None:
    one = book(tmp_path / "labels.csv")
    one.say("fits well", "good")
    one.skip(TEXTS[1])
    assert one.next() == "line\nbreak"

    assert one.undo() == TEXTS[1]
    assert one.undo() == "fits well"

    assert one.undo() is None
    assert one.next() == "fits well"
    assert read_table(tmp_path / "labels.csv").height == 0
    one.say("fits well", "bad")
    one.say("fits well", "good")
    assert read_table(tmp_path / "labels.csv").rows() == [("fits well", "good")]


def test_a_line_that_was_torn_is_asked_about_again(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    one = book(file)
    one.say("fits well", "good")
    one.say("很好", "good")
    file.write_bytes(file.read_bytes()[:-4])

    again = book(file)

    assert again.n_labelled == 1
    again.say("很好", "bad")
    assert [row[1] for row in read_table(file).rows()] == ["good", "bad"]


def test_what_is_wrong_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    for labels in ((), ("one",), ("a", "a"), ("a", "")):
        with pytest.raises(ConfigError, match="two or more different"):
            book(file, labels=labels)
    one = book(file)
    with pytest.raises(DataError, match="unknown label 'goood'. Did you mean 'good'"):
        one.say("fits well", "goood")
    with pytest.raises(DataError, match="not asked about"):
        one.say("never seen", "good")
    assert not file.exists()
    file.write_text("name,value\nx,1\n")
    with pytest.raises(DataError, match="columns name, value, not text, label"):
        book(file)
    file.write_text("text,label\nfits well,fine\n")
    with pytest.raises(DataError, match=r"row 2: the label 'fine' is not one of bad, good"):
        book(file)
    assert file.read_text() == "text,label\nfits well,fine\n"
