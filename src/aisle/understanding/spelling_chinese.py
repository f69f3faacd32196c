"""Chinese that sounds like what the shop sells: other characters of the same sound, and pinyin typed as letters.

Enters: a run of Chinese characters, or letters. Leaves: words of the shop of that sound. Only where two characters
stand side by side that no text of the shop has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from aisle.language.chinese import segmenter, simplified
from aisle.language.pinyin import loose_letters, readings, sounds
from aisle.understanding.spelling_words import ShopWords

_LONGEST_RUN = 40
_LONGEST = 6
_MOST_SPANS = 24
_SAME, _LIKE = 1.0, 2.2
"""Cost of a character of the same sound, and of one of a sound that is taken for it."""
_BESIDE = 1.5
_ORDINARY = 3.5
"""Cost of taking an ordinary word of Chinese for another: the shop may just not sell it yet."""
_KEPT = {2: 3.5, 3: -0.5}
_KEPT_LONG = -2.0
"""Score of a span being right as it is, by its length: three characters seldom sound alike by chance."""
_PER_WORD, _LETTERS_KEPT = 1.5, 3
_SHORTEST_LETTERS, _LONGEST_LETTERS = 4, 24

Span = tuple[int, int, str, float]


def homophones(run: str, words: ShopWords) -> list[Span]:
    """Begin, end, word meant and probability of spans of ``run``, in order, none touching another."""
    if len(run) > _LONGEST_RUN:
        return []
    plain = simplified(run)
    is_odd = [not words.is_pair(a, b) for a, b in pairwise(plain)]
    found: list[tuple[float, Span]] = []
    n_looked = 0
    for begin in range(len(plain)):
        for end in range(begin + 2, min(begin + _LONGEST, len(plain)) + 1):
            if not any(is_odd[begin : end - 1]) or plain[begin:end] in words.uses or n_looked >= _MOST_SPANS:
                continue
            n_looked += 1
            best = _best(plain, begin, end, words)
            if best is not None:
                found.append((best[1] - _KEPT.get(end - begin, _KEPT_LONG), (begin, end, *best)))
    found.sort(key=lambda one: (-one[0], one[1]))
    chosen: list[Span] = []
    for odds, (begin, end, meant, _) in found:
        if not any(begin < stop and start < end for start, stop, *_ in chosen):
            chosen.append((begin, end, meant, 1.0 / (1.0 + math.exp(min(-odds, 50.0)))))
    return sorted(chosen)


def _best(plain: str, begin: int, end: int, words: ShopWords) -> tuple[str, float] | None:
    """The likeliest word that sounds like a span, and its score."""
    span = plain[begin:end]
    ordinary = _ORDINARY if segmenter().FREQ.get(span, 0) > 0 else 0.0
    best: tuple[str, float] | None = None
    for sound in sounds(span):
        for meant in words.of_sound.get(sound, ()):
            score = math.log1p(words.uses[meant]) - ordinary
            for typed, right in zip(span, meant, strict=True):
                if typed != right:
                    score -= _SAME if not set(readings(typed)).isdisjoint(readings(right)) else _LIKE
            if begin and words.is_pair(plain[begin - 1], meant[0]):
                score += _BESIDE
            if end < len(plain) and words.is_pair(meant[-1], plain[end]):
                score += _BESIDE
            if best is None or (score, meant) > (best[1], best[0]):
                best = meant, score
    return best


def of_pinyin(letters: str, words: ShopWords) -> Iterator[tuple[str, float]]:
    """Chinese that is spelt ``letters`` in pinyin, as one word of the shop or several, with its score."""
    if not (_SHORTEST_LETTERS <= len(letters) <= _LONGEST_LETTERS and letters.isascii() and letters.isalpha()):
        return
    for spelled, cost in ((letters, 0.0), (loose_letters(letters), _LIKE)):
        if cost and spelled == letters and letters in words.of_letters:
            continue
        found = _parsed(spelled, words)
        if found:
            score = sum(math.log1p(words.uses[word]) for word in found) / len(found) - _PER_WORD * (len(found) - 1)
            joins = sum(words.is_pair(a[-1], b[0]) for a, b in pairwise(found))
            yield "".join(found), score + _BESIDE * joins + 0.5 * (len(letters) - _LETTERS_KEPT) - cost


def _parsed(letters: str, words: ShopWords) -> Sequence[str]:
    """Words whose pinyin makes up ``letters``, as few as can be, the most used of these; empty if none do."""
    best: list[tuple[int, float, tuple[str, ...]] | None] = [None] * (len(letters) + 1)
    best[0] = (0, 0.0, ())
    for end in range(2, len(letters) + 1):
        for begin in range(max(0, end - _LONGEST * 6), end - 1):
            before = best[begin]
            same = words.of_letters.get(letters[begin:end]) if before is not None else None
            if before is None or not same:
                continue
            option = before[0] + 1, before[1] - math.log1p(words.uses[same[0]]), (*before[2], same[0])
            now = best[end]
            if now is None or option < now:
                best[end] = option
    found = best[len(letters)]
    return found[2] if found is not None else ()
