"""Wrong commands: one line that says what is allowed, an exit status for scripts, no traceback, nothing lost."""

import pytest
from typer.testing import CliRunner

from aisle.cli import app
from aisle.folder import init


@pytest.fixture
def shop(tmp_path):
    return str(init(tmp_path / "shop").root)


def said(*arguments: str) -> str:
    """What a command that fails with status 2 says, on one line."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


@pytest.mark.parametrize("price", ["nan", "inf"])
def test_a_price_that_is_no_amount(shop, price):
    assert f"--max-price is {price}; give an amount" in said("search", shop, "kettle", "--max-price", price)


def test_a_report_that_could_not_be_written_is_told_before_measuring(shop, tmp_path):
    assert "does not exist; make it first" in said("evaluate", shop, "--html", str(tmp_path / "absent" / "page.html"))


def test_a_file_where_the_shop_should_be(tmp_path):
    (tmp_path / "file").write_text("mine")

    assert "make a shop with `aisle init" in said("search", str(tmp_path / "file"), "kettle")
    assert "cannot be made in" in said("init", str(tmp_path / "file" / "shop"))


def test_an_unknown_size_of_demo_removes_nothing(shop, tmp_path):
    assert "small" in said("demo", shop, "--replace", "--size", "gigantic")

    assert (tmp_path / "shop" / "aisle.toml").is_file()


def test_a_currency_in_small_letters_says_how_it_is_written(tmp_path):
    assert "shop.currency = 'eur': a currency is written in three capitals such as EUR" in said(
        "init", str(tmp_path / "other"), "--currency", "eur"
    )


def test_a_column_of_texts_that_have_none(tmp_path):
    (tmp_path / "lines.txt").write_text("a kettle\n")
    given = ("pretrain", str(tmp_path / "reader"), "--texts", str(tmp_path / "lines.txt"), "--column", "review")

    assert "--column 'review' names a column of a table, and --texts has none" in said(*given)
    assert not (tmp_path / "reader").exists()
