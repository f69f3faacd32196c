"""Are misspelt queries repaired, and right ones left alone? English typing, and the sound of Chinese.

    python -m benchmarks.spelling --products products.parquet --judgments judgments.parquet \\
        --chinese-known train.parquet --chinese-asked dev.parquet

English: ``product_title`` is what the shop sells, ``search_term`` what is asked. Chinese: the ``query`` of
``--chinese-known`` stand for titles, those of ``--chinese-asked`` are asked. Into queries that the shop could answer
(every word known) one mistake is put; queries as they are show what is changed without need. ``--tuning`` asks queries
that settings may be chosen by: three quarters of the English ones, and Chinese ones held out of ``--chinese-known``.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from aisle.language.chinese import is_chinese
from aisle.language.pinyin import readings, syllables
from aisle.understanding import ItemWordsReader
from benchmarks.product_search import read_judged
from benchmarks.result import Run
from benchmarks.understanding import reader_of

PROTOCOL = (
    "one mistake in a query of known words, {n} queries of each kind, seed {seed}: repaired is the share whose "
    "searched text is the query before the mistake, offered adds those for which it is offered, wrong is the share "
    "searched for as something else; untouched queries: changed is the share searched for as something else, "
    "{n_english} English and {n_chinese} Chinese ones, with those among them that really are misspelt; read_ms: median "
    "of queries without and with a mistake"
)
KEYS = {key: row for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for key in row}

Damage = Callable[[str, random.Random], str | None]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=Path, required=True)
    parser.add_argument("--judgments", type=Path, required=True)
    parser.add_argument("--chinese-known", type=Path, required=True)
    parser.add_argument("--chinese-asked", type=Path, required=True)
    parser.add_argument("--tuning", action="store_true", help="ask queries that settings may be chosen by")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=1_000, help="queries of each kind")
    parser.add_argument("--titles", type=int, default=100_000, help="of either shop, at most")
    given = parser.parse_args()
    judged, _ = read_judged(given.judgments, None, given.tuning)
    titles = pl.read_parquet(given.products)["product_title"].drop_nulls().to_list()[: given.titles]
    known = pl.read_parquet(given.chinese_known)["query"].drop_nulls().unique(maintain_order=True).to_list()
    asked = pl.read_parquet(given.chinese_asked)["query"].drop_nulls().unique(maintain_order=True).to_list()
    if given.tuning:
        known, asked = known[given.most :], known[: given.most]
    rng = random.Random(given.seed)
    english, chinese = rng.sample(list(judged), min(given.most, len(judged))), asked[: given.most]
    run = Run(
        "spelling",
        PROTOCOL.format(n=given.most, seed=given.seed, n_english=len(english), n_chinese=len(chinese)),
    )
    system: dict[str, float] = {}
    for language, shop, queries, damages in (
        ("english", titles, english, {"typo": typo, "joined": joined, "split": split, "keyboard": shifted}),
        ("chinese", known[: given.titles], chinese, {"homophone": homophone, "pinyin": pinyin}),
    ):
        reader = reader_of(shop)
        run.say(f"{language}: {len(shop)} titles are read")
        system |= {f"{language}_{name}": value for name, value in untouched(reader, queries).items()}
        for name, damage in damages.items():
            found = repaired(reader, queries, damage, rng)
            system |= {f"{language}_{name}_{what}": value for what, value in found.items()}
        run.say(f"{language}: {system}")
    run.finish({name: round(value, 4) for name, value in system.items()}, {})


def untouched(reader: ItemWordsReader, queries: Sequence[str]) -> dict[str, float]:
    """What becomes of queries as they are."""
    taken, changed, offered = [], 0, 0
    for query in queries:
        begun = time.perf_counter()
        spelling = reader.read(query).spelling
        taken.append(time.perf_counter() - begun)
        changed += spelling is not None and spelling.is_searched
        offered += spelling is not None and not spelling.is_searched
    n = max(len(queries), 1)
    return {"changed": changed / n, "offered": offered / n, "read_ms": 1_000 * float(np.median(taken))}


def repaired(reader: ItemWordsReader, queries: Sequence[str], damage: Damage, rng: random.Random) -> dict[str, float]:
    """Of queries of known words with one mistake each, how many are searched for, or offered, as they were."""
    n = n_repaired = n_offered = n_wrong = 0
    taken = []
    for query in map(_plain, queries):
        broken = damage(query, rng)
        # A query with a mistake of its own, or one that turns into other words of the shop, can show nothing.
        if broken is None or broken == query or not _is_known(reader, query) or _is_known(reader, broken):
            continue
        n += 1
        begun = time.perf_counter()
        spelling = reader.read(broken).spelling
        taken.append(time.perf_counter() - begun)
        if spelling is None:
            continue
        is_right = _plain(spelling.text).replace(" ", "") == query.replace(" ", "")
        n_repaired += is_right and spelling.is_searched
        n_offered += is_right
        n_wrong += spelling.is_searched and not is_right
    share = 1.0 / max(n, 1)
    return {
        "n": n,
        "repaired": n_repaired * share,
        "offered": n_offered * share,
        "wrong": n_wrong * share,
        "read_ms": 1_000 * float(np.median(taken)) if taken else 0.0,
    }


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _is_known(reader: ItemWordsReader, text: str) -> bool:
    return reader.has_only_known_words(text)


def _one_word(query: str, rng: random.Random) -> tuple[list[str], int] | None:
    words = query.split(" ")
    places = [place for place, word in enumerate(words) if word.isascii() and word.isalpha() and len(word) >= 5]
    return (words, rng.choice(places)) if places else None


def typo(query: str, rng: random.Random) -> str | None:
    """One letter left out, doubled, swapped with the next or taken from a neighbouring key, never the first."""
    chosen = _one_word(query, rng)
    if chosen is None:
        return None
    words, place = chosen
    word = words[place]
    at = rng.randrange(1, len(word) - 1)
    row = KEYS[word[at]]
    beside = row[max(row.index(word[at]) - 1, 0)] if rng.random() < 0.5 else row[-1:]
    ways = (word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word[:at] + beside + word[at + 1 :])
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    words[place] = rng.choice((*ways, swapped))
    return " ".join(words)


def joined(query: str, rng: random.Random) -> str | None:
    """Two words written as one."""
    words = query.split(" ")
    places = [p for p in range(len(words) - 1) if all(w.isalpha() and len(w) >= 3 for w in words[p : p + 2])]
    if not places:
        return None
    place = rng.choice(places)
    return " ".join([*words[:place], words[place] + words[place + 1], *words[place + 2 :]])


def split(query: str, rng: random.Random) -> str | None:
    """One word written as two."""
    chosen = _one_word(query, rng)
    if chosen is None:
        return None
    words, place = chosen
    at = rng.randrange(2, len(words[place]) - 1)
    words[place] = f"{words[place][:at]} {words[place][at:]}"
    return " ".join(words)


def shifted(query: str, rng: random.Random) -> str | None:
    """One word typed with both hands a key to the right."""
    chosen = _one_word(query, rng)
    if chosen is None:
        return None
    words, place = chosen
    rows = [KEYS[letter] for letter in words[place]]
    if any(row[-1] == letter for row, letter in zip(rows, words[place], strict=True)):
        return None
    words[place] = "".join(row[row.index(letter) + 1] for row, letter in zip(rows, words[place], strict=True))
    return " ".join(words)


def _of_sound() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for code in range(0x4E00, 0x9FA6):
        character = chr(code)
        try:
            character.encode("gb2312")  # characters that are in use
        except UnicodeEncodeError:
            continue
        for reading in readings(character)[:1]:
            table.setdefault(reading, []).append(character)
    return table


OF_SOUND: dict[str, list[str]] = {}


def homophone(query: str, rng: random.Random) -> str | None:
    """One character replaced by another of the same sound."""
    if not OF_SOUND:
        OF_SOUND.update(_of_sound())
    places = [place for place, character in enumerate(query) if is_chinese(character)]
    if len(places) < 2:
        return None
    place = rng.choice(places)
    others = [one for one in OF_SOUND.get((readings(query[place]) or ("",))[0], []) if one != query[place]]
    return query[:place] + rng.choice(others) + query[place + 1 :] if others else None


def pinyin(query: str, rng: random.Random) -> str | None:
    """The whole of a Chinese query of two to six characters typed as letters."""
    del rng
    if not 2 <= len(query) <= 6 or not all(map(is_chinese, query)):
        return None
    return "".join(syllables(query))


if __name__ == "__main__":
    main()
