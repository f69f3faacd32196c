"""The words of a shop for spelling: how many items use each, which stand side by side, and how they sound.

Enters: words and texts of items. Leaves: counts, and words near a wrong one. Corrects nothing itself.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

from aisle.language.analysis import is_unit, stems
from aisle.language.chinese import CHINESE, is_chinese, simplified
from aisle.language.pinyin import loose_letters, sound_of, syllables
from aisle.language.spelling import Spelling

RUN = re.compile(f"[{CHINESE}]+")
_ENGLISH = re.compile(r"[a-z]{2,}")
_ALWAYS_KNOWN = frozenset(
    (
        *(
            "a",
            "an",
            "and",
            "any",
            "are",
            "at",
            "best",
            "bigger",
            "buy",
            "by",
            "cheap",
            "cheapest",
            "do",
            "does",
            "find",
        ),
        *(
            "for",
            "from",
            "good",
            "have",
            "how",
            "i",
            "in",
            "is",
            "it",
            "less",
            "me",
            "most",
            "my",
            "near",
            "need",
            "of",
        ),
        *("on", "or", "over", "show", "size", "smaller", "some", "than", "that", "the", "these", "this", "to", "under"),
        *("us", "used", "want", "what", "where", "which", "who", "why", "with", "without", "you", "your"),
    )
)
"""Words that queries are made with; titles need not have them."""
_REBUILD_GROWTH = 1.05
"""New words become corrections once there are so many times the words; they are known, and left alone, at once."""
_LONGEST_SOUNDING = 6
_MOST_OF_SOUND = 8
_READ_CHARACTERS = 2_000
"""Of a description."""


class ShopWords:
    """Counts of words as they are written. Additions are seen at once by readers in other threads."""

    def __init__(self) -> None:
        self.uses: Counter[str] = Counter()
        self.pairs: Counter[str] = Counter()
        """Items by two words side by side, joined by a blank; of Chinese, by two characters."""
        self.only_seen: set[str] = set()
        """Words and pairs of Chinese characters that only descriptions have: left alone, never corrected to."""
        self._stems: set[str] = set()
        self._sounds: dict[str, str] = {}
        self.of_sound: dict[str, list[str]] = {}
        self.of_letters: dict[str, list[str]] = {}
        self.spelling = Spelling({})
        self._n_spelled = 0
        self._lock = threading.Lock()

    def count(
        self, titles: Sequence[str], words: Sequence[Sequence[str]], others: Sequence[str], described: str
    ) -> None:
        """Take an item: its titles as text and as words, words of its other values, and its descriptions.

        To be finished by ``refresh``.
        """
        found = {word for title in words for word in title} | set(others)
        self.uses.update(found)
        pairs = {f"{a} {b}" for title in words for a, b in pairwise(title) if not is_chinese(a[0])}
        self.pairs.update(pairs | {pair for title in titles for pair in chinese_pairs(title)})
        text = described[:_READ_CHARACTERS].casefold()
        self.only_seen.update(word for word in _ENGLISH.findall(text) if word not in self.uses)
        self.only_seen.update(pair for pair in chinese_pairs(text) if pair not in self.pairs)

    def refresh(self) -> None:
        """Let new words be corrected to, where enough have come."""
        with self._lock:
            if len(self.uses) <= _REBUILD_GROWTH * self._n_spelled:
                return
            uses = dict(self.uses)
            self._stems |= set(stems([word for word in uses if word.isascii()]))
            spelling = Spelling(uses)
            for word in uses:
                if word not in self._sounds and 2 <= len(word) <= _LONGEST_SOUNDING and is_chinese(word[0]):
                    self._sounds[word] = " ".join(syllables(word))
            of_sound: dict[str, list[str]] = {}
            of_letters: dict[str, list[str]] = {}
            for word, spelled in sorted(self._sounds.items(), key=lambda pair: (-uses.get(pair[0], 0), pair[0])):
                letters = spelled.replace(" ", "")
                for key, table in (
                    (sound_of(spelled.split()), of_sound),
                    (letters, of_letters),
                    (loose_letters(letters), of_letters),
                ):
                    same = table.setdefault(key, [])
                    if len(same) < _MOST_OF_SOUND and word not in same:
                        same.append(word)
            self.spelling, self.of_sound, self.of_letters = spelling, of_sound, of_letters
            self._n_spelled = len(uses)

    def is_sold(self, word: str) -> bool:
        """Whether items use ``word`` or another form of it, or it is one of those that queries are made with."""
        if word in self.uses or word in self.only_seen or word in _ALWAYS_KNOWN or is_unit(word):
            return True
        return stems([word])[0] in self._stems

    def is_pair(self, first: str, second: str) -> bool:
        """Whether two Chinese characters stand side by side in a text of the shop."""
        return first + second in self.pairs or first + second in self.only_seen

    def kept(self) -> dict[str, Any]:
        """For JSON; pairs that only one item has are left out where there are Latin letters."""
        pairs = {pair: n for pair, n in self.pairs.items() if n > 1 or " " not in pair}
        return {"uses": self.uses, "pairs": pairs, "seen": sorted(self.only_seen), "sounds": self._sounds}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """From what ``kept`` gave; raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        words = cls()
        words.uses.update({str(word): int(n) for word, n in kept["uses"].items()})
        words.pairs.update({str(pair): int(n) for pair, n in kept["pairs"].items()})
        words.only_seen.update(map(str, kept["seen"]))
        words._sounds = {str(word): str(spelled) for word, spelled in kept["sounds"].items()}
        words.refresh()
        return words


def chinese_pairs(text: str) -> list[str]:
    """Chinese characters side by side, simplified."""
    return [run[place : place + 2] for run in RUN.findall(simplified(text)) for place in range(len(run) - 1)]
