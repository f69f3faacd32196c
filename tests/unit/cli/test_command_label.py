"""``aisle label`` in a terminal: asks, saves, goes on, and says what is wrong with what it was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from aisle.cli import app
from aisle.cli.labelling import shown
from aisle.folder import init
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import finetune
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.new_model import NewModelConfig, new_model

REVIEWS = [
    f"这件衣服{word}，{more}" for word in ("很好", "很差", "不错", "失望") for more in ("推荐", "退货", "还行", "再买")
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "reviews.csv"
    made.write_text("review\n" + "\n".join(f'"{one}"' for one in REVIEWS), encoding="utf-8")
    return made


def label(file: Path, typed: str, *more: str):
    out = file.parent / "labels.csv"
    given = ["label", str(file), "--text", "review", "--labels", "bad,good", "--out", str(out), *more]
    return CliRunner().invoke(app, given, input=typed), out


def test_it_asks_saves_and_goes_on_where_it_was(file: Path) -> None:
    told, out = label(file, "1\n2\nu\n1\n?\ns\ngood\nq\n", "--pick", "random")
    assert told.exit_code == 0, told.output
    assert "'?' is no key; keys are 1, 2, s, u, q" in told.output
    assert "3 labelled" in told.output
    assert "--task NAME=binary:label" in " ".join(told.output.split())
    first = out.read_text(encoding="utf-8")
    assert [line.rpartition(",")[2] for line in first.splitlines()] == ["label", "bad", "bad", "good"]

    told, out = label(file, "2\n", "--pick", "random", "-n", "2")  # the input ends
    assert told.exit_code == 0, told.output
    assert "(3 labelled, 2 to go)" in told.output
    assert out.read_text(encoding="utf-8").startswith(first)
    assert len(out.read_text(encoding="utf-8").splitlines()) == 5

    told, _ = label(file, "1\n" * 20, "--pick", "random")
    assert "16 labelled" in told.output
    told, _ = label(file, "", "--pick", "random")
    assert told.exit_code == 2
    assert "all its texts are labelled already" in " ".join(told.output.split())


def test_a_label_that_is_a_digit_is_said_by_that_digit(file: Path) -> None:
    told, out = label(file, "1\n0\nq\n", "--pick", "random", "--labels", "0,1")
    assert told.exit_code == 0, told.output
    assert [line.rpartition(",")[2] for line in out.read_text(encoding="utf-8").splitlines()] == ["label", "1", "0"]
    assert "0 0  1 1" in told.output


def test_a_shops_encoder_tells_texts_apart(file: Path) -> None:
    init(file.parent / "shop")

    told, out = label(file, "1\nq\n", "--shop", str(file.parent / "shop"))

    assert told.exit_code == 0, told.output
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2


def test_a_fine_tuned_model_asks_first_what_it_is_unsure_of(file: Path) -> None:
    shape = NewModelConfig(size="tiny", layers=1, width=32, heads=2, vocabulary=300)
    folder = new_model([f"{one}{other}" for one in REVIEWS for other in REVIEWS], shape, file.parent / "new")
    opinion = TaskConfig(name="opinion", kind="binary", labels=("bad", "good"))
    known = LabelledTexts("x", REVIEWS * 2, {"opinion": ["bad" if "差" in one else "good" for one in REVIEWS * 2]})
    loop = {"trackers": [], "epochs": 1, "max_steps": 1}
    target = file.parent / "opinion"
    finetune(folder, [known], [opinion], FinetuneConfig(training=loop), work=file.parent / "w", target=target)
    for how in ("uncertainty", "change", "badge", "diversity"):
        told, _ = label(file, "q\n", "--model", str(target), "--pick", how)
        assert told.exit_code == 0, told.output
        assert "(0 labelled, 16 to go)" in told.output
    told, _ = label(file, "q\n", "--model", str(folder.path))
    assert told.exit_code == 0, told.output
    assert "cannot read" not in told.output


def test_what_is_wrong_is_said(file: Path) -> None:
    for more, said in (
        (("--text", "reviw"), "Did you mean 'review'?"),
        (("--labels", "good"), "two or more different ones"),
        (("--pick", "uncertainty"), "needs a model that was fine-tuned"),
        (("--model", "nowhere"), "'nowhere' is no folder"),
        (("--pick", "luck"), "'luck' is not one of"),
        (("--port", "9000"), "add --web"),
        (("--n", "0"), "greater than or equal to 1"),
    ):
        told, _ = label(file, "", *more)
        assert told.exit_code == 2
        assert said in " ".join(told.output.replace("│", "").split()), told.output
    told, _ = label(file.with_name("none.csv"), "")
    assert "there is no file" in " ".join(told.output.split())


def test_a_text_does_not_steer_the_terminal() -> None:
    assert shown("a\x1b[2Jb\n很好") == "a\ufffd[2Jb\n很好"
