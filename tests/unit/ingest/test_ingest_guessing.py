from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aisle.errors import DataError
from aisle.ingest import ImportReport, guess_mapping, parse_mapping


def guess(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return guess_mapping(folder / name)


def test_events_in_another_shops_words(tmp_path: Path, bring_in: Callable[..., ImportReport]) -> None:
    text = (
        "CustomerID;ProductId;Action;Date;Qty;Unit Price;Note\n"
        "7;A1;buy;31/12/2023 10:00;2;1.234,50;x\n"
        "8;A2;pv;01/01/2024 11:30;1;0,99;y\n"
    )
    toml = guess(tmp_path, "log.csv", text)
    mapping = parse_mapping(toml)
    assert mapping.table == "events"
    assert mapping.csv.delimiter == ";"
    assert mapping.columns["time"].time == "%d/%m/%Y %H:%M"
    assert mapping.columns["price"].decimal == ","
    assert mapping.columns["type"].map == {"buy": "purchase", "pv": "view_item"}
    assert '#   "Note": x, y' in toml
    report = bring_in(tmp_path / "log.csv", mapping)
    assert (report.n_new, report.n_refused) == (2, 0)


@pytest.mark.parametrize(
    ("text", "table", "targets"),
    [
        (
            "sku,name,brand,category,price\n1,Tea,Bo,a > b,3\n",
            "items",
            {"item_id", "title", "brand", "category", "price"},
        ),
        ("user_id,age,sex,country\n1,30,f,AT\n", "users", {"user_id", "age_band", "gender", "region"}),
        ("faq_id,question,answer\n1,How?,So.\n", "documents", {"document_id", "title", "text"}),
        ("uid,searchterm,ts\n1,tea,1706778245\n", "events", {"user_id", "query", "time"}),
        ("item_id,title,price\n1,Tea,3\n", "items", {"item_id", "title", "price"}),
    ],
)
def test_the_likeliest_table(tmp_path: Path, text: str, table: str, targets: set[str]) -> None:
    mapping = parse_mapping(guess(tmp_path, "x.csv", text))
    assert (mapping.table, set(mapping.columns)) == (table, targets)


@pytest.mark.parametrize(
    ("value", "unit"),
    [("1706778245", "s"), ("1706778245000", "ms"), ("1706778245000000", "us"), ("2024-02-01", "auto")],
)
def test_units_of_time(tmp_path: Path, value: str, unit: str) -> None:
    mapping = parse_mapping(guess(tmp_path, "x.csv", f"user,item,timestamp\n1,2,{value}\n"))
    assert mapping.columns["time"].time == unit


def test_sequences_are_exploded(tmp_path: Path) -> None:
    mapping = parse_mapping(guess(tmp_path, "x.jsonl", '{"user":1,"items":[3,4]}\n{"user":2,"items":[5]}\n'))
    assert (mapping.explode, mapping.columns["item_id"].source, mapping.columns["time"].by) == (
        "items",
        "items",
        "position",
    )


def test_odd_names_and_values_still_give_toml(tmp_path: Path) -> None:
    text = 'item id,"a ""quoted"" [name]",标题\n1,"line\nbreak",茶\u2028壶\n'
    assert parse_mapping(guess(tmp_path, "x.csv", text)).table == "items"


def test_nothing_to_guess_from(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(DataError, match="is empty"):
        guess_mapping(tmp_path / "x.csv")


def test_a_chinese_file_is_guessed_in_its_encoding(tmp_path: Path, bring_in: Callable[..., ImportReport]) -> None:
    (tmp_path / "goods.csv").write_bytes(
        "sku;name;brand;price\n1;红色连衣裙;丽人;199\n2;保温杯;清泉;59\n".encode("gb18030")
    )
    toml = guess_mapping(tmp_path / "goods.csv")
    mapping = parse_mapping(toml)
    assert (mapping.csv.encoding, mapping.csv.delimiter) == ("gb18030", ";")
    report = bring_in(tmp_path / "goods.csv", mapping)
    assert (report.n_new, report.n_refused) == (2, 0)


def test_text_that_is_neither_utf8_nor_chinese_is_not_taken_for_chinese(tmp_path: Path) -> None:
    (tmp_path / "goods.csv").write_bytes("sku,name\n1,Café crème brûlée à la façon\n".encode("cp1252"))
    with pytest.raises(DataError, match="encoding"):
        guess_mapping(tmp_path / "goods.csv")
