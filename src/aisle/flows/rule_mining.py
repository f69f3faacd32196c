"""Synonyms that clicks speak for: queries that lead different people to the same items.

Enters: behaviour. Leaves: proposals, which count only once a person has accepted them. A query is looked at only when
enough people typed it, so that no proposal tells what one person did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import polars as pl
from pydantic import Field

from aisle.contracts import RecordStore
from aisle.domain import INTEREST_TYPES, Snapshot
from aisle.flows.slate_pages import slates_after
from aisle.merchandising.phrases import Token, tokens
from aisle.settings import Config
from aisle.wire.rules import QueryRule, Synonyms

_SOON_MS = 30 * 60_000
_NEWEST_SLATES = 100_000
_QUERIES_AN_ITEM = 200
"""An item is the answer to at most so many queries, those that most people chose it after."""
_LONGEST_WORDS = 4
_PREFIX = "clicks-"
_INTEREST = [kind.value for kind in INTEREST_TYPES]


class MiningConfig(Config):
    """When two queries are alike."""

    least_people: int = Field(default=5, ge=2)
    """People who chose something after a query. Raising it proposes less and surer, and tells less of anybody."""
    least_likeness: float = Field(default=0.5, gt=0.0, le=1.0)
    """Cosine of what people chose after two queries. Raising it proposes less and surer."""
    most: int = Field(default=200, ge=1, le=10_000)
    """Proposals at most, the strongest."""


@dataclass(frozen=True)
class Mined:
    """A rule, what speaks for it in words, and how much."""

    proposal_id: str
    rule: QueryRule
    evidence: str
    strength: float


@dataclass(frozen=True)
class _Asked:
    """One query, however it was written: its commonest form, its tokens, and how many people chose something."""

    text: str
    of_tokens: Sequence[Token]
    n_people: int


def mine_synonyms(snapshot: Snapshot, records: RecordStore, config: MiningConfig) -> list[Mined]:
    """Pairs of words, or of whole queries, that differ where two queries alike do; strongest first.

    Two queries are alike when the cosine of their counts of people by chosen item is high enough. What they share at
    their beginnings and ends is taken off: of ``red sofa`` and ``red couch``, ``sofa`` and ``couch`` are proposed.
    """
    chosen = pl.concat([_after_searches(snapshot, records), _in_lists(snapshot, records)]).unique()
    if not chosen.height:
        return []
    forms = {text: tokens(text) for text in chosen["query"].unique().to_list()}
    keys = {text: " ".join(token.word for token in of_tokens) for text, (_, of_tokens) in forms.items()}
    chosen = chosen.with_columns(key=pl.col("query").replace_strict(keys, return_dtype=pl.String)).filter(
        pl.col("key") != ""
    )
    people = chosen.group_by("key").agg(
        n_people=pl.col("who").n_unique(), text=pl.col("query").sort().mode().sort().first()
    )
    people = people.filter(pl.col("n_people") >= config.least_people)
    asked = {
        key: _Asked(forms[text][0], forms[text][1], n_people)
        for key, n_people, text in people.select("key", "n_people", "text").iter_rows()
    }
    counts = chosen.filter(pl.col("key").is_in(list(asked))).group_by("key", "item_row").agg(n=pl.col("who").n_unique())
    found: dict[tuple[str, str], Mined] = {}
    for one, other, likeness in _alike(counts, config.least_likeness).iter_rows():
        mined = _mined(asked[one], asked[other], likeness)
        if mined is not None:
            pair = _pair(mined.rule)
            if pair not in found or mined.strength > found[pair].strength:
                found[pair] = mined
    ordered = sorted(found.values(), key=lambda mined: (-mined.strength, mined.proposal_id))
    return ordered[: config.most]


def _alike(counts: pl.DataFrame, least: float) -> pl.DataFrame:
    """Pairs of queries, each once, with their likeness, the likest first."""
    norms = counts.group_by("key").agg(norm=(pl.col("n") ** 2).sum().sqrt())
    best = counts.sort("n", "key", descending=[True, False]).group_by("item_row", maintain_order=True)
    best = best.head(_QUERIES_AN_ITEM)
    together = (
        best.join(best, on="item_row", suffix="_other")
        .filter(pl.col("key") < pl.col("key_other"))
        .group_by("key", "key_other")
        .agg(dot=(pl.col("n").cast(pl.Float64) * pl.col("n_other")).sum())
        .join(norms, on="key")
        .join(norms.rename({"key": "key_other", "norm": "norm_other"}), on="key_other")
        .with_columns(likeness=pl.col("dot") / (pl.col("norm") * pl.col("norm_other")))
    )
    wanted = together.filter(pl.col("likeness") >= least)
    return wanted.select("key", "key_other", "likeness").sort(
        "likeness", "key", "key_other", descending=[True, False, False]
    )


def _mined(one: _Asked, other: _Asked, likeness: float) -> Mined | None:
    parts = _differing(one, other)
    if parts is None:
        return None
    n_people = min(one.n_people, other.n_people)
    rule = synonym_rule(parts)
    evidence = (
        f"{one.n_people} people after {one.text!r} and {other.n_people} after {other.text!r} chose alike "
        f"({likeness:.2f} of 1)"
    )
    return Mined(rule.id.removeprefix(_PREFIX), rule, evidence, likeness * n_people)


def synonym_rule(words: tuple[str, str]) -> QueryRule:
    """The rule that two phrases mean the same; its id is a hash of them, whatever their order."""
    first, second = sorted(words)
    digest = blake2b("\n".join((first, second)).encode("utf-8", "replace"), digest_size=8).hexdigest()
    return QueryRule(id=f"{_PREFIX}{digest}", action=Synonyms(kind="synonyms", words=(first, second)))


def differing_words(text: str, other: str) -> tuple[str, str] | None:
    """Two queries without their common beginning and end; None where what is left is no pair of words."""
    return _differing(*(_Asked(*tokens(one), 0) for one in (text, other)))


def _differing(one: _Asked, other: _Asked) -> tuple[str, str] | None:
    """What is left of both queries without their common beginning and end; None where that is no pair of words."""
    words = [[token.word for token in asked.of_tokens] for asked in (one, other)]
    shorter = min(map(len, words))
    first = next((n for n in range(shorter) if words[0][n] != words[1][n]), shorter)
    last = next((n for n in range(shorter - first) if words[0][-1 - n] != words[1][-1 - n]), shorter - first)
    left: list[str] = []
    for asked in (one, other):
        rest = asked.of_tokens[first : len(asked.of_tokens) - last]
        text = asked.text[rest[0].start : rest[-1].stop].lower() if rest else ""
        # A size or a number is never another one.
        if not text or len(text.split()) > _LONGEST_WORDS or any(sign.isdigit() for sign in text) or len(text) > 100:
            return None
        left.append(text)
    return left[0], left[1]


def _pair(rule: QueryRule) -> tuple[str, str]:
    assert isinstance(rule.action, Synonyms)
    return rule.action.words[0], rule.action.words[1]


def _after_searches(snapshot: Snapshot, records: RecordStore) -> pl.DataFrame:
    """What each person chose soon after a search, before the next one: ``query``, ``item_row``, ``who``."""
    pages = [table.frame.select("user_id", "time_ms", "query") for table in records.read_searches()]
    if not pages:
        return _NOTHING
    users = pl.DataFrame({"who": list(snapshot.user_ids)}, schema={"who": pl.String}).with_row_index("user_row")
    searches = pl.concat(pages).select(pl.col("user_id").alias("who"), "time_ms", "query").sort("time_ms")
    done = (
        snapshot.interactions.lazy()
        .filter(pl.col("type").is_in(_INTEREST))
        .join(users.lazy().with_columns(pl.col("user_row").cast(pl.Int32)), on="user_row")
        .select("who", "time_ms", pl.col("item_row").cast(pl.Int64))
        .sort("time_ms")
        .collect()
    )
    joined = done.join_asof(searches, on="time_ms", by="who", tolerance=_SOON_MS, check_sortedness=False)
    return joined.filter(pl.col("query").is_not_null()).select("query", "item_row", "who")


def _in_lists(snapshot: Snapshot, records: RecordStore) -> pl.DataFrame:
    """What each person chose in the lists that answered queries."""
    after = records.seq_before_slates(_NEWEST_SLATES)
    queries = {slate.slate_id: slate.query for slate in slates_after(records, after) if slate.query}
    if not queries:
        return _NOTHING
    rows = {item_id: row for row, item_id in enumerate(snapshot.items.frame["item_id"])}
    pages = [
        table.frame.filter(pl.col("type").is_in(_INTEREST), pl.col("slate_id").is_in(list(queries)))
        .select("slate_id", "item_id", "user_id")
        .drop_nulls()
        for table in records.read_slate_events(after)
    ]
    if not pages:
        return _NOTHING
    return (
        pl.concat(pages)
        .select(
            query=pl.col("slate_id").replace_strict(queries, return_dtype=pl.String),
            item_row=pl.col("item_id").replace_strict(rows, default=-1, return_dtype=pl.Int64),
            who=pl.col("user_id"),
        )
        .filter(pl.col("item_row") >= 0)
    )


_NOTHING = pl.DataFrame(schema={"query": pl.String, "item_row": pl.Int64, "who": pl.String})
