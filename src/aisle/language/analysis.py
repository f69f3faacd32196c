"""Text to the tokens that are indexed and searched: one rule for items and queries, English and Chinese together.

Enters: any string. Leaves: lower-case words, and stems of them. Knows nothing of items or of an index.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import tantivy

from aisle.language.chinese import CHINESE, chinese_starts, is_chinese, segmenter, simplified

_NUMBER = r"\d+[\-\s]\d+/\d+|\d+/\d+|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+"
_WORD = re.compile(rf"{_NUMBER}|[{CHINESE}]+|[^\W\d_{CHINESE}]+|[\"']")

_RUN = re.compile(rf"[{CHINESE}]+|[^\s{CHINESE}]+")

_UNITS = {
    "in": ("inch", "inches", "ins", '"'),
    "ft": ("foot", "feet", "'"),
    "yd": ("yard", "yards", "yds"),
    "lb": ("lbs", "pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "gal": ("gallon", "gallons", "gals"),
    "qt": ("quart", "quarts"),
    "sq": ("square",),
    "cu": ("cubic",),
    "w": ("watt", "watts"),
    "v": ("volt", "volts"),
    "amp": ("amps", "ampere", "amperes"),
    "gpm": (),
    "btu": ("btus",),
    "mm": ("millimeter", "millimeters", "millimetre", "millimetres"),
    "cm": ("centimeter", "centimeters", "centimetre", "centimetres"),
    "m": ("meter", "meters", "metre", "metres"),
    "kg": ("kilogram", "kilograms", "kilo", "kilos", "kgs"),
    "g": ("gram", "grams"),
    "ml": ("milliliter", "milliliters", "millilitre", "millilitres"),
    "l": ("liter", "liters", "litre", "litres"),
    "pk": ("pack", "packs", "pcs"),
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in (unit, *names)}
_BETWEEN_SIZES = frozenset({"x", "by"})
_FRACTION = re.compile("[\u00bc-\u00be\u2150-\u215e]")
_POSSESSIVE = re.compile(r"(?<=[^\W\d_])['’]s?(?![^\W\d_])")


def words(text: str) -> list[str]:
    """Words and numbers of ``text`` in order: NFKC, lower case, accents dropped, Chinese simplified and cut by jieba.

    Units after a number take one name (``5/8"``, ``5/8in`` and ``5/8 inches`` are ``5/8 in``); the ``x`` of a size
    such as ``4x8`` or ``4 ft. x 8 ft.`` is dropped; thousands separators too.
    """
    spaced = _FRACTION.sub(r" \g<0>", text)
    bare = without_accents(unicodedata.normalize("NFKC", spaced).casefold())
    plain = _POSSESSIVE.sub("", bare.replace("\u2044", "/"))
    found: list[str] = []
    for piece in _WORD.findall(plain):
        after_number = bool(found) and found[-1][-1].isdigit()
        if piece[-1].isdigit():
            found.append(_number(piece))
        elif piece in ('"', "'"):
            if after_number:
                found.append(_UNIT_OF[piece])
        elif is_chinese(piece[0]):
            found.extend(_segmented(piece))
        elif after_number and piece in _UNIT_OF:
            found.append(_UNIT_OF[piece])
        else:
            found.append(piece)
    return _without_size_marks(found)


def word_starts(text: str) -> list[int]:
    """Where words of ``text`` begin: after each blank and, in Chinese, at each word that jieba finds; ascending."""
    starts: list[int] = []
    for run in _RUN.finditer(text):
        if is_chinese(run.group()[0]):
            starts += [run.start() + first for first in chinese_starts(run.group())]
        elif run.start() == 0 or text[run.start() - 1].isspace():
            starts.append(run.start())
    return starts


def stems(of_words: Sequence[str]) -> list[str]:
    """The English stem of each word (Snowball); numbers and Chinese stay as they are."""
    return [_stem(word) for word in of_words]


def without_accents(text: str) -> str:
    """``text`` in one form (NFKD, put together again) without marks over and under its letters."""
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(one for one in parts if not unicodedata.combining(one)))


def is_unit(word: str) -> bool:
    """Whether ``word`` names a unit, however it is written."""
    return word in _UNIT_OF


def _number(piece: str) -> str:
    piece = re.sub(r"\s", "-", piece).replace(",", "")
    if "." in piece:
        piece = piece.rstrip("0").rstrip(".") if piece.strip("0.") else "0"
    return "0" + piece if piece.startswith(".") else piece


def _without_size_marks(found: list[str]) -> list[str]:
    def is_mark(place: int) -> bool:
        if found[place] not in _BETWEEN_SIZES or not 0 < place < len(found) - 1:
            return False
        before = found[place - 1]
        sized = before[-1].isdigit() or (before in _UNITS and place > 1 and found[place - 2][-1].isdigit())
        return sized and found[place + 1][0].isdigit()

    return [word for place, word in enumerate(found) if not is_mark(place)]


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    if not word.isascii() or not word.isalpha():
        return word
    analysed = _stemmer().analyze(word)
    return analysed[0] if analysed else word


@lru_cache(maxsize=1)
def _stemmer() -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer("english")).build()


def _segmented(run: str) -> list[str]:
    """Words of a run of Chinese, long words with the shorter ones inside them; unknown ones by character."""
    return list(segmenter().cut_for_search(simplified(run), HMM=False))
