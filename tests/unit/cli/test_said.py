"""What is said of texts, as lines: a text's line ends and quotes do not break them."""

from __future__ import annotations

import csv
import io

import numpy as np
import orjson
import pytest

from aisle.cli.said import Said, csv_lines, json_line, plain_line
from aisle.errors import ConfigError
from aisle.language.finetune_config import TaskConfig

LIKED = TaskConfig(name="liked", kind="binary", labels=("no", "yes"))
TAGS = TaskConfig(name="tags", kind="tags", labels=("a", 'b, "c"', "d"))
TEXTS = ['fits, "well"\nand\tlooks\u2028great', "\x1b[31mred", "x" * 200]
SAID = Said(
    TEXTS,
    [LIKED, TAGS],
    {
        "liked": np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], dtype=np.float32),
        "tags": np.array([[0.5, 0.9, 0.1], [0.1, 0.2, 0.3], [0.6, 0.1, 0.1]], dtype=np.float32),
    },
)


def test_a_line_a_text_for_people() -> None:
    lines = [plain_line(one) for one in SAID]

    assert lines == [
        'fits, "well" and looks great\tliked: yes 0.75  tags: b, "c" 0.90, a 0.50',
        "\N{REPLACEMENT CHARACTER}[31mred\tliked: no 0.50  tags: none",
        "x" * 80 + "\tliked: no 1.00  tags: a 0.60",
    ]


def test_an_object_a_line() -> None:
    lines = [json_line(one) for one in SAID]

    assert all("\n" not in line for line in lines)
    assert [orjson.loads(line)["text"] for line in lines] == TEXTS
    assert orjson.loads(lines[0])["labels"] == {
        "liked": {"no": 0.25, "yes": 0.75},
        "tags": {"a": 0.5, 'b, "c"': 0.9, "d": 0.1},
    }


def test_csv_that_any_reader_of_csv_understands() -> None:
    rows = list(csv.reader(io.StringIO("\n".join(csv_lines(SAID)), newline="")))

    assert rows == [
        ["text", "liked", "liked_probability", "tags", "tags_probability"],
        [TEXTS[0], "yes", "0.75", 'b, "c"|a', "0.9|0.5"],
        [TEXTS[1], "no", "0.5", "", ""],
        [TEXTS[2], "no", "1", "a", "0.6"],
    ]


def test_a_task_named_as_a_column_is_refused_in_csv_only() -> None:
    text = TaskConfig(name="text", kind="binary", labels=("no", "yes"))
    said = Said(["a"], [text], {"text": np.array([[0.2, 0.8]], dtype=np.float32)})

    with pytest.raises(ConfigError, match="'text'.*take --json"):
        list(csv_lines(said))
    assert orjson.loads(json_line(next(iter(said)))) == {"text": "a", "labels": {"text": {"no": 0.2, "yes": 0.8}}}
