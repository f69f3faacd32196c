"""How people ask a shop for help, and how they ask for things, in English and Chinese; the words stand in a file.

What questions to the service are learned from; the shop's own texts come to them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

_BETWEEN = {"en": " ", "zh": ""}
"""What stands between the words of a language."""


def service_phrases(rng: np.random.Generator, n: int = 2_000) -> list[str]:
    """Up to ``n`` different ways to ask for help, half of them in each language; whole questions are all among them."""
    found: list[str] = []
    for language, words in _words().items():
        deeds = [
            f"{verb}{_BETWEEN[language]}{thing}".strip()
            for group in words["deeds"]
            for verb in group["verbs"]
            for thing in group["objects"]
        ]
        framed = [frame.replace("{}", deed) for frame in words["frames"] for deed in deeds]
        found += [*words["asked"], *_drawn(framed, n // 2 - len(words["asked"]), rng)]
    return list(dict.fromkeys(phrase.replace("{n}", str(rng.integers(10**6, 10**11))) for phrase in found))


def product_phrases(rng: np.random.Generator, n: int = 2_000) -> list[str]:
    """Up to ``n`` different searches for things, half of them in each language; plain nouns are all among them."""
    found: list[str] = []
    for language, words in _words().items():
        both = [f"{kind}{_BETWEEN[language]}{thing}" for kind in words["kinds"] for thing in words["things"]]
        found += [*words["things"], *_drawn(both, n // 2 - len(words["things"]), rng)]
    return found


def _drawn(phrases: list[str], n: int, rng: np.random.Generator) -> list[str]:
    return [phrases[place] for place in rng.permutation(len(phrases))[: max(n, 0)]]


def _words() -> Mapping[str, Any]:
    return tomllib.loads(files("aisle.understanding").joinpath("phrases.toml").read_text("utf-8"))
