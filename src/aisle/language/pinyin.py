"""How Chinese sounds: pinyin of characters and words, without tones, and what is easily taken for one another.

Enters: Chinese characters. Leaves: syllables. Knows nothing of items; readings are those of pypinyin.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice, product

from aisle.language.analysis import without_accents

_INITIALS = {"zh": "z", "ch": "c", "sh": "s", "n": "l"}
"""Initials that many speakers do not tell apart."""
_INITIAL = re.compile(r"^(?:zh|ch|sh|n(?=[aeiouv]))")
_FINAL = re.compile(r"(?<=[aei])ng$")
_LOOSE = re.compile(r"(?<=[zcs])h|(?<=[aei]n)g(?![aeiouv])")
_MOST_READINGS = 3
MOST_SOUNDS = 12
"""Ways to read several characters that are looked at."""


@lru_cache(maxsize=30_000)
def readings(character: str) -> tuple[str, ...]:
    """Syllables of one character without tones (``v`` for the umlaut), the usual one first; none for others."""
    from pypinyin.pinyin_dict import pinyin_dict  # 0.2 s, of which a shop without Chinese has no need

    spelled = pinyin_dict.get(ord(character), "")
    return tuple(dict.fromkeys(map(_bare, spelled.split(","))))[:_MOST_READINGS] if spelled else ()


def syllables(word: str) -> tuple[str, ...]:
    """The usual reading of each character of a word, by pypinyin's dictionary of words (``重庆``: chong qing)."""
    from pypinyin import lazy_pinyin

    return tuple(syllable.replace("ü", "v") for syllable in lazy_pinyin(word))


@lru_cache(maxsize=2_000)
def sound(syllable: str) -> str:
    """What a syllable shares with those it is confused with: zh/z, ch/c, sh/s, n/l, ang/an, eng/en, ing/in."""
    return _FINAL.sub("n", _INITIAL.sub(lambda found: _INITIALS[found.group()], syllable))


def sounds(run: str) -> list[str]:
    """Ways in which ``run`` may sound, as ``sound`` of each character joined by spaces; at most ``MOST_SOUNDS``."""
    each = [tuple(dict.fromkeys(map(sound, readings(character)))) for character in run]
    return [" ".join(one) for one in islice(product(*each), MOST_SOUNDS)] if all(each) else []


def sound_of(of_syllables: Sequence[str]) -> str:
    """As ``sounds`` has it, of syllables that are known."""
    return " ".join(map(sound, of_syllables))


def loose_letters(letters: str) -> str:
    """Letters of joined pinyin without what is confused: ``zhuangxiu`` and ``zuanxiu`` become one."""
    return _LOOSE.sub("", letters)


def _bare(syllable: str) -> str:
    plain = syllable.replace("ü", "v").replace("ǖ", "v").replace("ǘ", "v").replace("ǚ", "v").replace("ǜ", "v")
    return without_accents(plain)
