"""How unlikely it is that one word is typed for another: the error model of a noisy channel.

Enters: two words of a-z. Leaves: a cost in nats. Kernighan, Church and Gale (1990), "A spelling correction program
based on a noisy channel model", with costs by kind of mistake instead of learned ones: no shop has a list of its typing
errors.
"""

from __future__ import annotations

from itertools import pairwise

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = frozenset(
    pair
    for row, below in pairwise((*_ROWS, ""))
    for place, key in enumerate(row)
    for other in (row[place + 1 : place + 2], *below[max(place - 1, 0) : place + 1])
    if other
    for pair in ((key, other), (other, key))
)
_VOWELS = frozenset("aeiouy")
_EDIT, _SLIP, _DOUBLE, _VOWEL, _FIRST = 3.2, 2.4, 1.8, 2.6, 2.0
"""Another letter; a neighbouring key or a swap; a letter doubled or not; one vowel for another; more for the first."""


def typing_cost(typed: str, meant: str) -> float:
    """Least cost of edits that make ``typed`` of ``meant``: weighted optimal string alignment."""
    n = len(meant)
    before: list[float] = []
    last = [0.0]
    for _ in range(n):
        last.append(last[-1] + _EDIT)
    for i, letter in enumerate(typed, 1):
        row = [last[0] + _EDIT]
        for j, wanted in enumerate(meant, 1):
            is_double = i > 1 and typed[i - 2] == letter
            was_double = j > 1 and meant[j - 2] == wanted
            best = min(
                last[j - 1] + _changed(letter, wanted),
                last[j] + (_DOUBLE if is_double else _EDIT),
                row[j - 1] + (_DOUBLE if was_double else _EDIT),
            )
            if i > 1 and j > 1 and letter == meant[j - 2] and typed[i - 2] == wanted:
                best = min(best, before[j - 2] + _SLIP)
            row.append(best)
        before, last = last, row
    return last[n] + (_FIRST if typed[:1] != meant[:1] else 0.0)


def _changed(letter: str, wanted: str) -> float:
    if letter == wanted:
        return 0.0
    if (letter, wanted) in _NEIGHBOURS:
        return _SLIP
    return _VOWEL if letter in _VOWELS and wanted in _VOWELS else _EDIT


_RIGHT = {key: row[place - 1] for row in _ROWS for place, key in enumerate(row) if place}
_LEFT = {key: row[place + 1] for row in _ROWS for place, key in enumerate(row) if place + 1 < len(row)}
_RUSSIAN = dict(zip("йцукенгшщзфывапролдячсмить", "".join(_ROWS), strict=True))


def other_keyboards(word: str) -> list[str]:
    """What ``word`` is with the hands one key further left or right, and on a Russian layout."""
    return [
        "".join(keys[letter] for letter in word)
        for keys in (_RIGHT, _LEFT, _RUSSIAN)
        if all(letter in keys for letter in word)
    ]
