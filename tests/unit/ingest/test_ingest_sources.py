"""Every format, packing and way of naming files; and files that mean harm."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aisle.errors import ConfigError, DataError
from aisle.ingest import ImportConfig, ImportReport, parse_mapping
from aisle.ingest.limits import LimitsConfig
from aisle.storage.records import SqlRecords

Bring = Callable[..., ImportReport]
CSV = "item_id,title\n1,kettle\n2,cup\n"
ITEMS = 'table = "items"\n[columns]\nitem_id = "item_id"\ntitle = "title"\n'


def titles(records: SqlRecords) -> dict[str, str]:
    return {item.item_id: item.title for page in records.read_catalogue() for item in page.rows()}


def small(**limits: float) -> ImportConfig:
    return ImportConfig(limits=LimitsConfig.model_validate(limits))


@pytest.mark.parametrize(
    ("kind", "packing"),
    [
        *((kind, packing) for kind in ("csv", "tsv", "jsonl", "json") for packing in ("", ".gz", ".zst")),
        ("parquet", ""),
    ],
)
def test_every_format_plain_and_packed(
    tmp_path: Path, bring_in: Bring, records: SqlRecords, kind: str, packing: str
) -> None:
    rows = [{"item_id": "1", "title": "kettle"}, {"item_id": "2", "title": "cup"}]
    if kind == "parquet":
        pl.DataFrame(rows).write_parquet(tmp_path / "i.parquet")
    else:
        text = {
            "csv": CSV,
            "tsv": CSV.replace(",", "\t"),
            "jsonl": "\n".join(json.dumps(row) for row in rows),
            "json": json.dumps(rows),
        }[kind].encode()
        packed = {"": bytes, ".gz": gzip.compress, ".zst": lambda data: pa.compress(data, "zstd", asbytes=True)}[
            packing
        ](text)
        (tmp_path / f"i.{kind}{packing}").write_bytes(packed)
    report = bring_in(next(tmp_path.glob("i.*")))
    assert titles(records) == {"1": "kettle", "2": "cup"}
    assert (report.n_rows, report.n_new, report.n_refused) == (2, 2, 0)


def test_folders_globs_and_standard_input(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").write_text(CSV)
    (tmp_path / "in" / "deep" / "b.csv.gz").write_bytes(gzip.compress(b"item_id,title\n3,pot\n"))
    (tmp_path / "in" / "notes.pdf").write_bytes(b"%PDF")
    assert bring_in(tmp_path / "in").n_new == 3
    assert bring_in(tmp_path / "in" / "**" / "*.csv*").n_resumed == 3
    report = bring_in(Path("-"), format="csv", stdin=io.BytesIO(b"item_id,title\n4,pan\n"))
    assert report.sources == ("-",)
    assert sorted(titles(records)) == ["1", "2", "3", "4"]


def test_what_is_not_there_is_said(tmp_path: Path, bring_in: Bring) -> None:
    with pytest.raises(DataError, match="no file matches"):
        bring_in(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="holds no file named"):
        bring_in(_empty(tmp_path))
    (tmp_path / "data.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match="state format"):
        bring_in(tmp_path / "data.xlsx")
    with pytest.raises(ConfigError, match="standard input"):
        bring_in(Path("-"), stdin=io.BytesIO(b""))


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_by_mapping(tmp_path: Path, bring_in: Bring, records: SqlRecords, encoding: str) -> None:
    (tmp_path / "i.csv").write_bytes("item_id,title\n1,红色茶壶\n".encode(encoding))
    bring_in(tmp_path / "i.csv", parse_mapping(ITEMS + f'[csv]\nencoding = "{encoding}"'))
    assert titles(records) == {"1": "红色茶壶"}


def test_a_wrong_encoding_is_named(tmp_path: Path, bring_in: Bring) -> None:
    (tmp_path / "i.csv").write_bytes("item_id,title\n1,红色茶壶\n2,杯子\n".encode("gb18030"))
    report = bring_in(tmp_path / "i.csv", parse_mapping(ITEMS))
    assert not report.is_complete
    assert 'encoding = "gb18030"' in report.failures[0].message
    (tmp_path / "j.csv").write_bytes("item_id,title\n1,红\n".encode("utf-16"))
    assert "UTF-16" in bring_in(tmp_path / "j.csv", parse_mapping(ITEMS)).failures[0].message


def test_a_row_with_wrong_bytes_is_refused_alone(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    rows = [b"item_id,title", *(f"{n},cup {n}".encode() for n in range(1, 10)), b"10,caf\xe9", b"11,pot"]
    (tmp_path / "i.csv").write_bytes(b"\n".join(rows))
    report = bring_in(tmp_path / "i.csv")
    assert [(r.row, r.field) for r in report.refusals] == [(10, "title")]
    assert len(titles(records)) == 10


def test_ragged_rows_are_refused_with_their_numbers(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    (tmp_path / "i.csv").write_text('item_id,title\n1,a\n2\n3,"b,\nb"\n4,c,d,e\n5,f\n')
    report = bring_in(tmp_path / "i.csv")
    assert [(r.row, r.allowed) for r in report.refusals] == [
        (2, "2 fields as in the header; this row has 1"),
        (4, "2 fields as in the header; this row has 4"),
    ]
    assert titles(records) == {"1": "a", "3": "b, b", "5": "f"}


@pytest.mark.parametrize("n_rows", [1, 2, 3, 7, 100])
def test_row_numbers_hold_whatever_the_batch(tmp_path: Path, bring_in: Bring, n_rows: int) -> None:
    lines = ["item_id,title"] + [
        f"{n}" if n % 5 == 0 else f"{n},{'=A1' if n % 7 == 0 else 'cup'}" for n in range(1, 31)
    ]
    (tmp_path / "i.csv").write_text("\n".join(lines))
    report = bring_in(tmp_path / "i.csv", config=small(batch_rows=n_rows), refusals_path=tmp_path / "r.jsonl")
    written = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert sorted(refusal["row"] for refusal in written) == [5, 7, 10, 14, 15, 20, 21, 25, 28, 30]
    assert (report.n_rows, report.n_refused, report.n_new) == (30, 10, 20)


def test_fields_that_are_too_long_or_hold_nul(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    long = "x" * (2 * 1024 * 1024)
    (tmp_path / "i.jsonl").write_text(
        "\n".join(json.dumps(row) for row in [
            {"item_id": "1", "title": long}, {"item_id": "a\x00b", "title": "t"}, {"item_id": "3", "title": "ok"},
        ])
    )  # fmt: skip
    report = bring_in(tmp_path / "i.jsonl")
    assert [(r.row, r.field) for r in report.refusals] == [(1, "title"), (2, "item_id")]
    assert all(len(r.value) <= 200 and r.value.isprintable() for r in report.refusals)
    assert titles(records) == {"3": "ok"}


def test_json_that_is_too_deep_too_long_or_broken(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    deep = '{"item_id":"1","title":' + "[" * 100_000 + "]" * 100_000 + "}"
    long = '{"item_id":"2","title":"' + "x" * 5000 + '"}'
    good = '{"item_id":"3","title":"has [[[[ in {{{{ a string","tags":["]}"]}'
    (tmp_path / "i.jsonl").write_text(
        "\n".join([deep, long, good, "not json", "[1]", "", '{"item_id":"7","title":"b"}'])
    )
    report = bring_in(tmp_path / "i.jsonl", parse_mapping(ITEMS), config=small(max_record_bytes=2048))
    assert [r.row for r in report.refusals] == [1, 2, 4, 5]
    assert sorted(titles(records)) == ["3", "7"]
    (tmp_path / "i.json").write_text("[" + ",".join([deep, good]) + "]")
    assert [r.row for r in bring_in(tmp_path / "i.json", parse_mapping(ITEMS)).refusals] == [1]


def test_json_arrays_are_read_element_by_element(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    rows = [{"item_id": str(n), "title": 'say "hi, [you]" \\ ' + "x" * (n % 700)} for n in range(6000)]
    (tmp_path / "i.json").write_text(json.dumps(rows, indent=1))
    assert (tmp_path / "i.json").stat().st_size > 2 * 1024 * 1024  # more than two chunks
    assert bring_in(tmp_path / "i.json").n_new == 6000
    assert titles(records)["699"] == 'say "hi, [you]" \\ ' + "x" * 699
    (tmp_path / "cut.json").write_text(json.dumps(rows)[:-10])
    report = bring_in(tmp_path / "cut.json", parse_mapping(ITEMS))
    assert "cut short" in report.failures[0].message


def test_bombs_stop_in_bounded_memory(tmp_path: Path, bring_in: Bring) -> None:
    with gzip.open(tmp_path / "bomb.csv.gz", "wb", compresslevel=9) as file:
        file.write(b"item_id,title\n")
        for _ in range(300):
            file.write(b"0" * 1024 * 1024)
    process = psutil.Process()
    before = process.memory_info().rss
    report = bring_in(tmp_path / "bomb.csv.gz", parse_mapping(ITEMS))
    assert not report.is_complete
    assert process.memory_info().rss - before < 200 * 1024 * 1024
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"item_id,title\n" + b"1,a\n" * 20_000_000))
    report = bring_in(tmp_path / "rows.csv.gz", parse_mapping(ITEMS))
    assert "zip bomb" in report.failures[0].message


def test_damaged_and_foreign_files(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    mapping = parse_mapping(ITEMS)
    body = "item_id,title\n" + "".join(f"{n},cup number {n * n}\n" for n in range(200_000))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(body.encode())[:-1000])
    report = bring_in(tmp_path / "cut.csv.gz", mapping)
    assert "cut short or damaged" in report.failures[0].message
    for name, content, said in [
        ("a.csv.gz", b"plain", "is not gzip"),
        ("b.csv", b"PK\x03\x04....", "zip archive"),
        ("c.csv", b"PAR1" + b"\x00" * 100, "Parquet"),
        ("d.parquet", b"item_id,title\n1,a\n", "not Parquet"),
        ("e.csv", b"\x00\x01\x02" * 500, "not text"),
        ("f.csv", b"item_id,title,title\n1,a,b\n", "two columns named 'title'"),
        ("g.csv", b"item,title\n1,a\n", "unknown column 'item_id'. Did you mean"),
        ("h.json", b"item_id,title\n", "not JSON"),
    ]:
        (tmp_path / name).write_bytes(content)
        assert said in bring_in(tmp_path / name, mapping).failures[0].message, name


def test_an_open_quote_does_not_swallow_the_machine(tmp_path: Path, bring_in: Bring) -> None:
    (tmp_path / "i.csv").write_bytes(b'item_id,title\n1,ok\n2,"open\n' + b"3,x\n" * 3_000_000)
    report = bring_in(tmp_path / "i.csv", parse_mapping(ITEMS))
    assert "quote" in report.failures[0].message


def test_a_parquet_file_that_unpacks_absurdly(tmp_path: Path, bring_in: Bring) -> None:
    table = pa.table({"item_id": pa.array(["1"] * 100), "title": pa.array(["x" * 900_000] * 100)})
    pq.write_table(table, tmp_path / "i.parquet", use_dictionary=False, compression="zstd")
    report = bring_in(tmp_path / "i.parquet", parse_mapping(ITEMS))
    assert "times its size" in report.failures[0].message


def test_a_parquet_file_that_repeats_one_long_text(tmp_path: Path, bring_in: Bring) -> None:
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), pa.array(["x" * 900_000]))
    pq.write_table(pa.table({"item_id": pa.array(["1"] * 50_000), "title": long}), tmp_path / "i.parquet")
    assert (tmp_path / "i.parquet").stat().st_size < 1_000_000
    report = bring_in(tmp_path / "i.parquet", parse_mapping(ITEMS))
    assert "spell out to more than" in report.failures[0].message


def test_an_empty_file_is_an_empty_import(tmp_path: Path, bring_in: Bring) -> None:
    (tmp_path / "i.csv").write_text("item_id,title\n")
    report = bring_in(tmp_path / "i.csv", parse_mapping(ITEMS))
    assert report.is_complete
    assert report.n_rows == 0


_ODD_COLUMNS = {
    "time": pa.array([dt.time(1, 2), None]),
    "duration": pa.array([dt.timedelta(days=1), None]),
    "decimal": pa.array([Decimal("12.50"), None]),
    "structs": pa.array([[{"a": 1}], None]),
    "lists": pa.array([[[1], [2]], None]),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
    "bytes": pa.array([b"\xff\x00", None]),
    "fixed": pa.array([b"ab", None], pa.binary(2)),
    "coded": pa.array(["x", None]).dictionary_encode(),
    "big": pa.array([2**63 + 5, None], pa.uint64()),
    "tiny": pa.array([1.5, None], pa.float32()),
    "truth": pa.array([True, None]),
    "nothing": pa.nulls(2),
    "moment": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("ns", "Asia/Tokyo")),
    "ancient": pa.array([dt.date(1, 1, 1), None]),
}


@pytest.mark.parametrize("odd", _ODD_COLUMNS)
def test_no_type_of_parquet_column_breaks_an_import(tmp_path: Path, bring_in: Bring, odd: str) -> None:
    pq.write_table(pa.table({"id": pa.array(["1", "2"]), "odd": _ODD_COLUMNS[odd]}), tmp_path / "x.parquet")
    fields = (
        "title",
        "brand",
        "category",
        "price",
        "price_minor",
        "currency",
        "stock",
        "created",
        "is_available",
        "kind",
    )
    for field in fields:
        title = "" if field == "title" else 'title = "id"\n'
        mapping = parse_mapping(
            f'table = "items"\n[columns]\nitem_id = "id"\n{title}{field} = "odd"\n[attributes]\na = "odd"'
        )
        report = bring_in(tmp_path / "x.parquet", mapping)
        assert report.is_complete, report.failures
        assert report.n_new + report.n_changed + report.n_duplicate + report.n_refused + report.n_stored >= 2


@pytest.mark.parametrize("begin", [b"", b"\x89PNG\r\n\x1a\n", b"item_id,title\n"])
def test_a_binary_file_named_csv_is_refused_in_one_clean_line(bring_in, tmp_path: Path, capfd, begin: bytes) -> None:
    path = tmp_path / "photo.csv"
    path.write_bytes(begin + np.random.default_rng(1).bytes(20_000))

    with pytest.raises(DataError, match="photo.csv is not text") as refused:
        bring_in(path)

    assert str(refused.value).isprintable()
    assert capfd.readouterr().err == ""


def test_a_chinese_file_without_its_encoding_and_with_a_broken_row_is_told_cleanly(
    bring_in, tmp_path: Path, capfd
) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(("item_id,title\n" + "".join(f"{i},红色水壶\n" for i in range(50)) + "红\n").encode("gb18030"))

    report = bring_in(path, parse_mapping(ITEMS))

    assert "gb18030" in report.failures[0].message
    assert capfd.readouterr().err == ""


def test_the_delimiter_is_the_one_the_header_shows_unless_it_is_stated(tmp_path, bring_in) -> None:
    (tmp_path / "items.csv").write_text("item_id;title;price\na;Tea;3.50\nb;Cup;4.00\n", encoding="utf-8")
    assert bring_in(tmp_path / "items.csv").n_new == 2
    stated = parse_mapping('table = "items"\n[csv]\ndelimiter = ","\n[columns]\nitem_id = "item_id"\ntitle = "title"\n')
    report = bring_in(tmp_path / "items.csv", stated)
    assert report.n_new == 0
    assert "item_id" in str(report.failures[0])
