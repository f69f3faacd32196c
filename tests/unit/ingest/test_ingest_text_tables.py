"""Tables of texts and labels: what is read as it is written, and what is said of files and columns that are not."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from aisle.errors import ConfigError, DataError
from aisle.ingest.text_columns import columns_named, labels_in, seconds_in, tags_in, texts_in
from aisle.ingest.text_tables import read_table

CHINESE = "text,label\n这只红色的水壶很好用,好评\n这口锅很差，想退货,差评\n"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_chinese_tables_are_read_in_the_encodings_they_come_in(tmp_path, encoding) -> None:
    frame = read_table(written(tmp_path, "rows.csv", CHINESE.encode(encoding)))

    assert texts_in(frame, ["text"], "rows") == ["这只红色的水壶很好用", "这口锅很差，想退货"]
    assert labels_in(frame, "label", "rows") == ["好评", "差评"]


def test_values_of_text_formats_stay_as_they_are_written(tmp_path) -> None:
    rows = 'id,label\n007,1\n"a\n""b""",1.0\n,\n'
    frame = read_table(written(tmp_path, "rows.csv", rows))
    assert texts_in(frame, ["id"], "rows") == ["007", 'a\n"b"', ""]
    assert labels_in(frame, "label", "rows") == ["1", "1.0", None]

    lines = (
        '\ufeff{"text": 7, "label": 1}\r\n\n{"text": "x", "label": 1.0}\n{"label": true}\n{"text": null, "label": 0.5}'
    )
    frame = read_table(written(tmp_path, "rows.jsonl", lines))
    assert texts_in(frame, ["text"], "rows") == ["7", "x", "", ""]
    assert labels_in(frame, "label", "rows") == ["1", "1", "true", "0.5"]

    lines = "a\u2028b\r\n\nc\x0cd\n"
    assert texts_in(read_table(written(tmp_path, "rows.txt", lines)), ["text"], "rows") == ["a\u2028b", "", "c\x0cd"]
    assert texts_in(read_table(written(tmp_path, "none.txt", "")), ["text"], "none") == []


def test_numbers_of_parquet_are_labels_without_a_point_and_no_number_is_none(tmp_path) -> None:
    file = tmp_path / "rows.parquet"
    pl.DataFrame(
        {"stars": [1.0, float("nan"), None, 5.0], "half": [0.5, 1.0, None, 2.0], "two": [[1.0, 2.0], [], None, [None]]},
        schema_overrides={"two": pl.List(pl.Float64)},
    ).write_parquet(file)
    frame = read_table(file)

    assert labels_in(frame, "stars", "rows") == ["1", None, None, "5"]
    assert labels_in(frame, "half", "rows") == ["0.5", "1.0", None, "2.0"]
    assert tags_in(frame, "two", "|", "rows") == [["1", "2"], [], None, []]
    array = pl.DataFrame({"tags": [["a", "b"], ["b", "c"]]}, schema={"tags": pl.Array(pl.String, 2)})
    assert tags_in(array, "tags", "|", "rows") == [["a", "b"], ["b", "c"]]


def test_tags_stand_in_lists_or_between_separators(tmp_path) -> None:
    lines = '{"tags": ["a", " b ", null, ""]}\n{"tags": []}\n{"tags": null}\n'
    frame = read_table(written(tmp_path, "rows.jsonl", lines))
    assert tags_in(frame, "tags", "|", "rows") == [["a", "b"], [], None]

    frame = read_table(written(tmp_path, "rows.csv", "tags\na| b\n|\n\nc\n"))
    assert tags_in(frame, "tags", "|", "rows") == [["a", "b"], [], None, ["c"]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            '{"c": "a"}\n{"c": ["a", "b"]}',
            r"row 2: column 'c' holds a list, \['a', 'b'\]; one label a row .* kind tags",
        ),
        ('{"c": null}\n{"c": ["a"]}', r"row 2: column 'c' holds a list"),
        ('{"c": {"name": "a"}}', r"row 1: column 'c' holds an object, \{'name': 'a'\}"),
        ('{"c": "a"}\n{"c": "NaN"}', r"row 2: column 'c' has the label 'NaN', .*leave the cell empty"),
        ('{"d": "a"}', "unknown column 'c'"),
    ],
)
def test_a_column_that_does_not_hold_labels_is_told_with_its_row(tmp_path, lines, message) -> None:
    frame = read_table(written(tmp_path, "rows.jsonl", lines))

    with pytest.raises(DataError, match=message):
        labels_in(frame, "c", "rows")


def test_lists_of_parquet_are_no_texts_and_lists_of_objects_no_tags(tmp_path) -> None:
    file = tmp_path / "rows.parquet"
    pl.DataFrame({"text": [None, ["a"]], "tags": [[{"name": "a"}], None], "raw": [b"a", b"b"]}).write_parquet(file)
    frame = read_table(file)

    with pytest.raises(DataError, match=r"row 2: column 'text' holds a list, \['a'\]; one text a row is taken"):
        texts_in(frame, ["text"], "rows")
    with pytest.raises(DataError, match=r"row 2: column 'text' holds a list"):
        seconds_in(frame, "text", "rows")
    with pytest.raises(DataError, match="row 1: column 'tags' holds a list.*lists of labels is taken"):
        tags_in(frame, "tags", "|", "rows")
    with pytest.raises(DataError, match="row 1: column 'raw' holds bytes"):
        texts_in(frame, ["raw"], "rows")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "is empty; the first line names the columns"),
        ("a.jsonl", "\n \n", "is empty; each line is one object"),
        (
            "a.csv",
            "text,label\na,b\nc,d,e\n",
            "line 3 has 3 fields, and the first line names 2 columns; texts with commas",
        ),
        ("a.csv", 'text,label\na,b\n"c,d\n', "the row that begins on line 3 is broken"),
        ("a.csv", "text,label,text\na,b,c\n", "names the column 'text' 2 times"),
        ("a.csv", b"text\ngood\n\xff\xfa\xff\n", "line 3: not text in UTF-8 .*save it as UTF-8"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2: "),
        ("a.jsonl", '{"a": NaN}', "line 1: .*null where nothing is known"),
        ("a.jsonl", '[{"a": 1}]', "line 1: .*is no object; each line is one object"),
        ("a.parquet", "no parquet", "cannot be read as parquet"),
        ("a.csv.gz", "", "the name must end in .csv, .tsv, .jsonl, .parquet or .txt"),
    ],
)
def test_a_file_that_is_no_table_is_told_where(tmp_path, name, content, message) -> None:
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, name, content))


def test_a_folder_and_nothing_are_told(tmp_path) -> None:
    (tmp_path / "rows.csv").mkdir()
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        read_table(tmp_path / "rows.csv")
    with pytest.raises(DataError, match="there is no file"):
        read_table(tmp_path / "none.csv")


def test_a_text_of_megabytes_is_refused_before_a_model_reads_it(tmp_path) -> None:
    frame = pl.DataFrame({"text": ["short", "long " * 300_000]})

    with pytest.raises(DataError, match="row 2: the text has 1,499,999 bytes; 1,048,576 are allowed"):
        texts_in(frame, ["text"], "rows")


def test_names_of_columns_may_have_blanks_around_them_and_are_not_empty() -> None:
    assert columns_named("--text", "title, review") == ["title", "review"]
    for value in ("", "title,"):
        with pytest.raises(ConfigError, match="--text .* names no column, or an empty one"):
            columns_named("--text", value)
