"""Which texts of a shop a chat model may rewrite for training, and what the rewritings stand for there.

Enters: the pairs that are to be learned, the catalogue, searches, settings. Leaves: other ways to write texts of the
pairs. Titles of items are sent to the chat model; queries only if the settings say so, enough people typed them and
they do not look personal. Descriptions and anything else of users are never sent.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from aisle.contracts import ChatModel, Progress, RecordStore
from aisle.domain import UNKNOWN_LANGUAGE
from aisle.language.adapt_config import AdaptConfig
from aisle.language.contrast_pairs import TextPairs
from aisle.language.rewriting import rewrite
from aisle.storage import SqlRewritings
from aisle.storage.durable import move

_PERSONAL = re.compile(r"@|\d(?:[\s().-]*\d){5}")
"""An address, or six digits and more one after another: a telephone, a card, an order."""


@dataclass(frozen=True)
class OtherWays:
    """``ways`` to write some texts of a training otherwise; ``metrics`` tell how many, for a manifest."""

    ways: Mapping[str, Sequence[str]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


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

    def begun_with(self, work: Path, config: AdaptConfig, learned: TextPairs, texts: Sequence[str]) -> OtherWays:
        """What a run that was stopped began with, kept in ``work``; else ``rewritten`` now. Raises as that does."""
        if not config.views.rewritten_chance:
            return OtherWays()
        file = work / "rewritten.json"
        if file.is_file():
            return OtherWays(**json.loads(file.read_text(encoding="utf-8")))
        found = self.rewritten(config, learned, texts)
        work.mkdir(parents=True, exist_ok=True)
        new = work / "rewritten.new"
        new.write_text(json.dumps({"ways": found.ways, "metrics": found.metrics}), encoding="utf-8")
        move(new, file)
        return found

    def rewritten(self, config: AdaptConfig, learned: TextPairs, texts: Sequence[str]) -> OtherWays:
        """Other ways to write texts of ``learned`` and ``texts``, as ``config`` says.

        Args:
            config: of the training.
            learned: the pairs to learn.
            texts: the items' texts as they are searched; those of a stopped run may be older and fewer than now.

        Raises:
            ConfigError: no chat model, or nothing that it says can be used.
            UnavailableError: it does not answer; what it said so far is kept.
        """
        chat = self.open_chat()
        chosen = self._chosen(config, learned, texts)
        kept = SqlRewritings.open(self.kept)
        try:
            found = rewrite(chosen, chat, kept, config.rewriting, self.progress)
        finally:
            kept.close()
        return OtherWays(self._in_pairs(found.ways, texts), found.metrics())

    def _chosen(self, config: AdaptConfig, learned: TextPairs, texts: Sequence[str]) -> dict[str, str]:
        """Texts to be rewritten with their languages, those in most pairs first."""
        n_pairs = _pairs_of(learned)
        weights: Counter[str] = Counter()
        language_of: dict[str, str] = {}
        for title, language, text in dict.fromkeys(self._items(texts)):
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
        for title, _, text in self._items(texts):
            if title in ways and text != title:
                found[text] = [way + text[len(title) :] for way in ways[title]]
        return found

    def _items(self, texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Title, language and text of the items whose titles stand in ``texts`` as they are now."""
        for (title, language), text in zip(self.titles, texts, strict=False):
            if title and text.startswith(title):
                yield title, language, text


def _pairs_of(pairs: TextPairs) -> Counter[str]:
    """In how many pairs each text is, on either side."""
    counted: Counter[str] = Counter()
    for side, rows in ((pairs.lefts, pairs.left), (pairs.rights, pairs.right)):
        for text, n in zip(side, np.bincount(rows, minlength=len(side)).tolist(), strict=True):
            counted[text] += n
    return counted
