"""The words of a page in every language it speaks, from one TOML file: a table a language, the same keys in each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

LANGUAGES = ("en", "zh")
"""Languages of the pages, the first being what a visitor gets who asks for none of them."""
NAMES = {"en": "English", "zh": "中文"}
"""What each language calls itself."""


@dataclass(frozen=True)
class Words:
    """The words in one language."""

    language: str
    texts: Mapping[str, str]
    names: Mapping[str, str]
    """Names of categories, brands and attributes that the shop itself has put into this language."""

    def __call__(self, key: str, **values: object) -> str:
        """The words called ``key`` with ``values`` filled in; ``n`` = 1 takes ``key_one`` where there is one.

        Raises ``KeyError`` for a key that is not in the file.
        """
        if values.get("n") == 1 and f"{key}_one" in self.texts:
            key = f"{key}_one"
        text = self.texts[key]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether there are words called ``key``."""
        return key in self.texts

    def name(self, text: str) -> str:
        """A name of the shop in this language, as it stands where there is no other."""
        return self.names.get(text, text)


def read_words(package: str, names: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, Words]:
    """The words of ``package`` (its ``words.toml``) by language; ``names`` are the shop's own, by language."""
    tables = tomllib.loads(files(package).joinpath("words.toml").read_text(encoding="utf-8"))
    return {language: Words(language, tables[language], (names or {}).get(language, {})) for language in LANGUAGES}
