"""Which texts of a shop a chat model may rewrite for training, and what the rewritings stand for there.

Enters: the pairs that are to be learned, the catalogue, searches, settings. Leaves: other ways to write texts of the
pairs. Titles of items are sent to the chat model; queries only if the settings say so, enough people typed them and
they do not look personal. Descriptions and anything else of users are never sent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from aisle.contracts import ChatModel, Progress, RecordStore
from aisle.domain import UNKNOWN_LANGUAGE
from aisle.language.adapt_config import AdaptConfig
from aisle.language.contrast_pairs import TextPairs
from aisle.language.rewriting import rewrite
from aisle.storage import SqlRewritings

_PERSONAL = re.compile(r"@|\d(?:[\s().-]*\d){5}")
"""An address, or six digits and more one after another: a telephone, a card, an order."""


@dataclass(frozen=True)
class ShopRewriter:
    """Rewrites texts of one shop.

    Args:
        open_chat: makes the chat model, or raises ``ConfigError`` where the shop names none.
        kept: the file of earlier answers.
        titles: (n_items,) the title with which each item's text begins, and its language.
        records: for who typed what.
        languages: the shop's, the first being the default.
        progress: hears of each way.
    """

    open_chat: Callable[[], ChatModel]
    kept: Path
    titles: Sequence[tuple[str, str]]
    records: RecordStore
    languages: Sequence[str]
    progress: Progress

    def rewritten(
        self, config: AdaptConfig, learned: TextPairs, texts: Sequence[str]
    ) -> tuple[Mapping[str, Sequence[str]], Mapping[str, float]]:
        """Other ways to write texts of ``learned`` and ``texts``, and how many, for a manifest.

        Both are empty where ``config`` asks for none.

        Args:
            config: of the training.
            learned: the pairs to learn.
            texts: (n_items,) the items' texts as they are searched.

        Raises:
            ConfigError: no chat model, or nothing that it says can be used.
            UnavailableError: it does not answer; what it said so far is kept.
        """
        if not config.views.rewritten_chance:
            return {}, {}
        chat = self.open_chat()
        chosen = self._chosen(config, learned, texts)
        kept = SqlRewritings.open(self.kept)
        try:
            found = rewrite(chosen, chat, kept, config.rewriting, self.progress)
        finally:
            kept.close()
        return self._in_pairs(found.ways, texts), found.metrics()

    def _chosen(self, config: AdaptConfig, learned: TextPairs, texts: Sequence[str]) -> dict[str, str]:
        """Texts to be rewritten with their languages, those in most pairs first."""
        n_pairs = _pairs_of(learned)
        weights: Counter[str] = Counter()
        language_of: dict[str, str] = {}
        items = [(named, text) for named, text in zip(self.titles, texts, strict=True) if named[0]]
        for (title, language), text in dict.fromkeys(items):
            weights[title] += n_pairs[text]
            language_of.setdefault(title, language)
        for title in set(language_of).difference(texts):  # where it is all of the text, it is counted already
            weights[title] += n_pairs[title]
        if config.rewriting.query_people:
            typed = UNKNOWN_LANGUAGE if "en" in self.languages else self.languages[0]
            for query in sorted(self._common_queries(config.rewriting.query_people) & set(learned.lefts)):
                if query not in language_of:  # else it is a title too
                    weights[query], language_of[query] = n_pairs[query], typed
        reads_all = "pieces" in config.objectives
        wanted = [(text, n) for text, n in weights.most_common() if n or reads_all]
        return {text: language_of[text] for text, _ in wanted[: config.rewriting.rewritten_texts]}

    def _common_queries(self, n_people: int) -> set[str]:
        """Queries, as pairs have them, that at least ``n_people`` different people typed."""
        who = pl.coalesce("user_id", "session_id").alias("who")
        query = pl.col("query").str.strip_chars().str.to_lowercase()
        pages = [table.frame.select(query, who).drop_nulls().unique() for table in self.records.read_searches()]
        if not pages:
            return set()
        counted = pl.concat(pages).unique().group_by("query").len("n")
        common = counted.filter(pl.col("n") >= n_people)["query"].to_list()
        return {text for text in common if text and not _PERSONAL.search(text)}

    def _in_pairs(self, ways: Mapping[str, Sequence[str]], texts: Sequence[str]) -> dict[str, Sequence[str]]:
        """Rewritings by the texts that are read: a title's also stand at the beginning of its item's text."""
        found: dict[str, Sequence[str]] = dict(ways)
        for (title, _), text in zip(self.titles, texts, strict=True):
            if title in ways and text != title:
                found[text] = [way + text[len(title) :] for way in ways[title]]
        return found


def _pairs_of(pairs: TextPairs) -> Counter[str]:
    """In how many pairs each text is, on either side."""
    counted: Counter[str] = Counter()
    for side, rows in ((pairs.lefts, pairs.left), (pairs.rights, pairs.right)):
        for text, n in zip(side, np.bincount(rows, minlength=len(side)).tolist(), strict=True):
            counted[text] += n
    return counted
