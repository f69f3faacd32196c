"""Pairs of a shop: what is held out is learned in no other way, and a run that was stopped finds what it began with."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from aisle.flows.text_pairs import BOUGHT, DESCRIPTION, QUERY, VIEWED, ShopPairs, begun_with

N = 120
TEXTS = [f"item number {row}. its description {row}" for row in range(N)]
DESCRIPTIONS = [f"its description {row}" for row in range(N)]


def neighbours(kind: str) -> list[tuple[str, str, int]]:
    """Every item with the next one, both ways round."""
    return [(kind, TEXTS[row], other) for row in range(N) for other in (row - 1, row + 1) if 0 <= other < N]


def pairs(rows: list[tuple[str, str, int]]) -> ShopPairs:
    schema = {"kind": pl.String, "left": pl.String, "item_row": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    described = pl.when(pl.col("kind") == DESCRIPTION).then("item_row").alias("description_row")
    return ShopPairs(frame.with_columns(described), TEXTS, DESCRIPTIONS)


@pytest.mark.parametrize("kind", [VIEWED, BOUGHT])
def test_two_items_are_not_learned_the_other_way_round(kind: str) -> None:
    learned, held_out = pairs(neighbours(kind)).parted(0.2)

    apart = {(held_out.lefts[a], held_out.rights[b]) for a, b in zip(held_out.left, held_out.right, strict=True)}
    known = {(learned.lefts[a], learned.rights[b]) for a, b in zip(learned.left, learned.right, strict=True)}
    assert len(apart) > 20
    assert len(known) > 50
    assert not apart & known
    assert not {(right, left) for left, right in apart} & known


def test_a_text_that_holds_a_held_out_pair_is_not_read_either() -> None:
    described = pairs([(DESCRIPTION, f"item number {row}", row) for row in range(N)])
    _, held_out = described.parted(0.2)
    readable = described.readable(0.2)

    assert len(held_out) > 5
    assert len(readable) == N - len(held_out)
    assert not [text for text in readable if text.split(". ")[0] in held_out.lefts]


def test_where_queries_compare_all_texts_are_read_and_queries_are_told() -> None:
    asked = [(QUERY, f"query {number}", number % N) for number in range(1_000)]
    both = pairs([*asked, *((DESCRIPTION, f"item number {row}", row) for row in range(N))])
    learned, held_out = both.parted(0.2)

    assert both.readable(0.2) == TEXTS
    assert held_out.is_query is not None
    assert held_out.is_query.all()
    assert learned.is_query is not None
    told = {text for text, is_query in zip(learned.lefts, learned.is_query, strict=True) if is_query}
    assert told == {text for text in learned.lefts if text.startswith("query")}


def test_a_run_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    first = begun_with(tmp_path / "w", lambda: pairs(neighbours(VIEWED)))
    again = begun_with(tmp_path / "w", lambda: pairs([]))

    assert again.frame.equals(first.frame)
    assert (list(again.texts), list(again.descriptions)) == (TEXTS, DESCRIPTIONS)
    (tmp_path / "w" / "pairs.parquet").unlink()  # was killed before all was written
    assert len(begun_with(tmp_path / "w", lambda: pairs([]))) == 0
