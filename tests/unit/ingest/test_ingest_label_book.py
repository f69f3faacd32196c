"""Answers are on disk at once, survive a cut, can be taken back, and are not mixed with what they do not belong to."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.errors import ConfigError, DataError, UnavailableError
from aisle.ingest.label_book import LabelBook
from aisle.ingest.text_tables import read_table

LABELS = ("bad", "good")
TEXTS = ["很好", 'it said "no",\nthen broke', "<script>alert(1)</script>", "a\rb", " ", "很好"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers" / "labels.csv"


def said_in(file: Path) -> list[tuple[str, str]]:
    return [(row["text"], row["label"]) for row in read_table(file).drop_nulls().iter_rows(named=True)]


def test_every_answer_is_in_the_file_at_once(file: Path) -> None:
    with LabelBook(file, LABELS) as book:
        book.ask(TEXTS)
        assert book.n_open == 4
        for number, label in enumerate(("good", "bad", "good"), 1):
            book.say(book.next() or "", label)
            assert len(said_in(file)) == number
        assert said_in(file) == [(TEXTS[0], "good"), (TEXTS[1], "bad"), (TEXTS[2], "good")]
        assert book.counts() == {"bad": 1, "good": 2}
        assert (book.n_labelled, book.n_open) == (3, 1)


def test_who_comes_back_goes_on_and_may_take_back_what_was_said_before(file: Path) -> None:
    with LabelBook(file, LABELS) as book:
        book.ask(TEXTS)
        book.say(TEXTS[0], "good")
        book.say(TEXTS[1], "bad")
        book.skip(TEXTS[2])
        book.say(TEXTS[3], "bad")

    with LabelBook(file, LABELS) as book:
        book.ask(TEXTS)
        assert book.next() == TEXTS[2]  # what was skipped is asked again
        assert book.undo() == TEXTS[3]
        assert book.undo() == TEXTS[1]
        assert book.next() == TEXTS[1]
        assert said_in(file) == [(TEXTS[0], "good")]
        book.say(TEXTS[1], "good")
        assert book.undo() == TEXTS[1]
        assert book.undo() == TEXTS[0]
        assert book.undo() is None
    assert file.read_text() == "text,label\n"


def test_a_text_that_the_file_has_twice_is_taken_back_answer_by_answer(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("text,label\na,bad\nb,bad\na,good\n")
    with LabelBook(file, LABELS) as book:
        book.ask(["a", "b", "c"])
        assert book.undo() == "a"
        assert dict(book.said) == {"a": "bad", "b": "bad"}
        assert book.undo() == "b"
        assert book.undo() == "a"
        assert book.undo() is None
        assert (book.next(), book.n_open, book.n_labelled) == ("a", 3, 0)
    assert file.read_text() == "text,label\n"


def test_a_skipped_text_comes_back_by_undo(file: Path) -> None:
    with LabelBook(file, LABELS) as book:
        book.ask(["a", "b"])
        book.skip("a")
        assert book.next() == "b"
        assert book.undo() == "a"
        assert book.next() == "a"


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        ("bad,good", "1 2"),
        ("0,1", "0 1"),
        ("3,other,1", "3 a 1"),
        ("1,2,10", "1 2 a"),
        ("a,b,other", "a b 1"),
        ("s,A,a,x", "1 2 a x"),
        ("N,Y", "n y"),
        ("好,坏", "1 2"),
    ],
)
def test_a_label_that_is_a_key_is_its_own(file: Path, labels: str, keys: str) -> None:
    with LabelBook(file, labels.split(",")) as book:
        assert list(book.keys.items()) == list(zip(keys.split(), labels.split(","), strict=True))


def test_nothing_but_the_next_text_is_taken(file: Path) -> None:
    with LabelBook(file, LABELS) as book:
        book.ask(["a", "b"])
        book.say("a", "bad")
        with pytest.raises(DataError, match="not the one asked about: 'a'"):
            book.say("a", "bad")  # a button pressed twice
        with pytest.raises(DataError, match=r"unknown label 'goood'\. Did you mean 'good'\?"):
            book.say("b", "goood")
        with pytest.raises(DataError, match="not the one asked about"):
            book.skip("c")
    assert said_in(file) == [("a", "bad")]


@pytest.mark.parametrize("torn", ["b", '"b\n', "b,", "b,go", '"b, and\nmor'])
def test_a_row_that_was_cut_is_asked_again_and_not_written_into(file: Path, torn: str) -> None:
    file.parent.mkdir()
    file.write_text(f"text,label\na,bad\n{torn}")
    with LabelBook(file, LABELS) as book:
        assert dict(book.said) == {"a": "bad"}
        book.ask(["a", "b"])
        book.say("b", "good")
    assert said_in(file) == [("a", "bad"), ("b", "good")]


def test_a_file_that_was_edited_by_hand_is_gone_on_with(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes("\ufefftext,label\r\na,bad\r\n\r\n中文,good".encode())
    with LabelBook(file, LABELS) as book:
        assert dict(book.said) == {"a": "bad", "中文": "good"}
        book.ask(["b"])
        book.say("b", "good")
    assert said_in(file) == [("a", "bad"), ("中文", "good"), ("b", "good")]


def test_a_label_that_may_go_on_is_not_taken_for_whole(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("text,label\na,good")
    with LabelBook(file, ("good", "good enough")) as book:
        assert not book.said


def test_files_and_labels_that_do_not_fit_are_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="two or more different ones"):
        LabelBook(file, ["good"])
    with pytest.raises(ConfigError, match="two or more different ones"):
        LabelBook(file, ["good", "good"])
    with pytest.raises(ConfigError, match="40 labels and 33 keys"):
        LabelBook(file, [str(number) for number in range(40)])
    assert not file.exists()
    file.parent.mkdir()
    file.write_text("review,stars\nnice,5\n")
    with pytest.raises(DataError, match="the columns are review, stars, not text, label"):
        LabelBook(file, LABELS)
    file.write_text("text,label\nnice,5\nmore,bad\n")
    with pytest.raises(DataError, match="row 2: the label '5' is not one of bad, good"):
        LabelBook(file, LABELS)
    file.write_bytes("text,label\n很好,good\n".encode("gbk"))
    with pytest.raises(DataError, match="save it as UTF-8"):
        LabelBook(file, LABELS)
    with pytest.raises(UnavailableError, match="cannot be opened for writing"):
        LabelBook(file.parent, LABELS)


def test_two_do_not_label_into_one_file(file: Path) -> None:
    with LabelBook(file, LABELS), pytest.raises(UnavailableError, match="somebody labels into"):
        LabelBook(file, LABELS)
    LabelBook(file, LABELS).close()


def test_a_full_disk_loses_no_answer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    with LabelBook(file, LABELS) as book:
        book.ask(["a", "b"])
        book.say("a", "bad")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UnavailableError, match="free space and say it again"):
            book.say("b", "good")
        assert (book.next(), dict(book.said)) == ("b", {"a": "bad"})
        monkeypatch.undo()
        book.say("b", "good")
    assert said_in(file) == [("a", "bad"), ("b", "good")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1), unique=True),
    st.lists(st.sampled_from(["bad", "good", "skip", "undo", "again"]), max_size=12),
)
def test_what_is_said_is_what_is_read_again(tmp_path_factory, texts: list[str], steps: list[str]) -> None:
    file = tmp_path_factory.mktemp("books") / "labels.csv"
    book = LabelBook(file, LABELS)
    book.ask(texts)
    for step in steps:
        text = book.next()
        if step == "undo":
            book.undo()
        elif step == "again":
            before = dict(book.said)
            book.close()
            book = LabelBook(file, LABELS)
            assert dict(book.said) == before
            book.ask(texts)
        elif text is not None:
            book.skip(text) if step == "skip" else book.say(text, step)
    told = dict(book.said)
    book.close()
    frame = pl.read_csv(file, infer_schema=False)
    assert dict(zip(frame["text"], frame["label"], strict=True)) == told
