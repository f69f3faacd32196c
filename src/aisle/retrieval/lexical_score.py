"""How well the words of items fit the words of a query: BM25F with coverage and proximity, as array arithmetic.

Enters: a query's groups and the words of some rows. Leaves: one score a row. Finds nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array, Rows
from aisle.retrieval.inverted import Group
from aisle.retrieval.query_words import QueryWords
from aisle.retrieval.token_table import Gathered, TokenTable


@dataclass(frozen=True)
class Weighting:
    """The constants of the score; ``LexicalConfig`` explains them. ``fields`` (n_fields,) float32."""

    fields: Float32Array
    k1: float
    b: float
    coverage: float
    proximity: float


@dataclass(frozen=True)
class _Asked:
    """Tokens that count, ascending (t,), with group, weight and idf each; ``idf_of_group`` (g,), 0 for compounds and
    words of phrases. ``phrases`` has the groups of the words of each phrase.
    """

    token: NDArray[np.int32]
    group: NDArray[np.int64]
    weight: Float32Array
    idf: Float32Array
    idf_of_group: Float32Array
    n_groups: int
    phrases: tuple[tuple[int, ...], ...]


def lexical_scores(query: QueryWords, rows: Rows, table: TokenTable, weighting: Weighting) -> Float32Array:
    """Scores of ``rows`` (k,), all below ``table.n_rows``; 0 where no word fits. (k,) float32.

    A group's part is its best alternative's idf x tf (k1 + 1) / (k1 + tf), tf being the sum over fields of weight x
    count / (1 - b + b length / mean length) (Robertson et al. 2004, BM25F). The sum is multiplied by the share of the
    query's idf that was found, to the power ``coverage``, and by 1 + ``proximity`` x the share of neighbouring groups
    that stand side by side.

    A row with all words of a phrase that means some groups (``QueryWords.meant``) has found these, and gets the
    phrase's parts in place of theirs where they are more.
    """
    asked = _asked(query, table)
    if not len(asked.token) or not len(rows):
        return np.zeros(len(rows), dtype=np.float32)
    found = table.gather(rows)
    place = np.minimum(np.searchsorted(asked.token, found.token), len(asked.token) - 1)
    hits = np.flatnonzero(asked.token[place] == found.token)
    term = place[hits]
    k, n_terms = len(rows), len(asked.token)
    norm = 1 - weighting.b + weighting.b * found.lengths / table.mean_lengths()  # (k, n_fields)
    owner, field = found.owner[hits], found.field[hits]
    weight = weighting.fields[field] / norm[owner, field]
    tf = np.bincount(owner * n_terms + term, weights=weight, minlength=k * n_terms).reshape(k, n_terms)
    parts = asked.weight * asked.idf * tf * (weighting.k1 + 1) / (weighting.k1 + tf)  # (k, n_terms)
    of_group = np.zeros((k, asked.n_groups))
    for number in range(n_terms):
        column = of_group[:, asked.group[number]]
        np.maximum(column, parts[:, number], out=column)
    is_found = of_group > 0
    score = of_group[:, : len(query.groups) + len(query.joined)].sum(axis=1)
    score += _of_phrases(query, asked, of_group, is_found)
    total = float(asked.idf_of_group.sum())
    if total > 0:
        for number, compound in enumerate(query.joined, start=len(query.groups)):
            is_found[:, list(compound.covers)] |= is_found[:, [number]]
        score *= (is_found @ asked.idf_of_group / total) ** weighting.coverage
        if weighting.proximity:
            score *= 1 + weighting.proximity * _side_by_side(found, hits, asked, term, k) / total
    return score.astype(np.float32)


def _of_phrases(
    query: QueryWords, asked: _Asked, of_group: NDArray[np.float64], is_found: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What phrases add to each row; groups that a row has by a phrase are marked in ``is_found``. (k,)"""
    gains: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for phrase, columns in zip(query.meant, asked.phrases, strict=True):
        covered = list(phrase.covers)
        has_all = np.all(of_group[:, columns] > 0, axis=1)
        more = of_group[:, columns].sum(axis=1) - of_group[:, covered].sum(axis=1)
        gain = np.where(has_all, np.maximum(more, 0.0), 0.0)
        gains[phrase.covers] = np.maximum(gain, gains.get(phrase.covers, 0.0))
        is_found[:, covered] |= has_all[:, None]
    return np.sum(list(gains.values()), axis=0) if gains else np.zeros(len(of_group))


def _asked(query: QueryWords, table: TokenTable) -> _Asked:
    entries: dict[int, tuple[int, float]] = {}
    groups: Sequence[Group] = query.all_groups
    for number, group in enumerate(groups):
        for alternative in group:
            token = table.find(alternative.word)
            # A word typed twice counts once.
            if token is not None and token not in entries:
                entries[token] = (number, alternative.weight)
    token = np.array(sorted(entries), dtype=np.int32)
    group = np.array([entries[t][0] for t in token.tolist()], dtype=np.int64)
    weight = np.array([entries[t][1] for t in token.tolist()], dtype=np.float32)
    n_rows_of = table.n_rows_of(token)
    idf = np.log1p((table.n_rows - n_rows_of + 0.5) / (n_rows_of + 0.5)).astype(np.float32)
    idf_of_group = np.zeros(len(groups), dtype=np.float32)
    np.maximum.at(idf_of_group, group, idf * weight)
    idf_of_group[len(query.groups) :] = 0.0
    phrases: list[tuple[int, ...]] = []
    idf_of = dict(zip(token.tolist(), idf.tolist(), strict=True))
    for phrase in query.meant:
        tokens = [t for word in phrase.words if (t := table.find(word.word)) is not None]
        phrases.append(tuple(dict.fromkeys(entries[t][0] for t in tokens)))
        # A word typed that no item uses weighs as much as what it means.
        unknown = [number for number in phrase.covers if not idf_of_group[number]]
        idf_of_group[unknown] = sum(idf_of[t] for t in tokens) * phrase.words[0].weight / len(phrase.covers)
    return _Asked(token, group, weight, idf, idf_of_group, len(groups), tuple(phrases))


def _side_by_side(
    found: Gathered, hits: NDArray[np.int64], asked: _Asked, term: NDArray[np.int64], k: int
) -> NDArray[np.float64]:
    """Sum over neighbouring groups that stand side by side in a field of the lesser idf of the two. (k,)"""
    group = asked.group[term]
    follows = (np.diff(hits) == 1) & (np.diff(group) == 1)
    first = np.flatnonzero(follows)
    first = first[
        (found.owner[hits[first]] == found.owner[hits[first + 1]])
        & (found.field[hits[first]] == found.field[hits[first + 1]])
    ]
    lesser = np.minimum(asked.idf_of_group[group[first]], asked.idf_of_group[group[first + 1]])
    # Each pair counts once a row, however often it stands there.
    pair = found.owner[hits[first]] * np.int64(asked.n_groups) + group[first]
    _, once = np.unique(pair, return_index=True)
    owner = found.owner[hits[first[once]]]
    return np.bincount(owner, weights=lesser[once].astype(np.float64), minlength=k).astype(np.float64)
