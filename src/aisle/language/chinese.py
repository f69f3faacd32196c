"""Which characters are Chinese, and where words begin among them: one dictionary for search and for language models."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import jieba

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""The inside of a regular expression's class of characters."""

_CHINESE_CHARACTER = re.compile(f"[{CHINESE}]")
_lock = threading.Lock()


def is_chinese(character: str) -> bool:
    """Whether ``character`` is written Chinese."""
    return bool(_CHINESE_CHARACTER.match(character))


def simplified(text: str) -> str:
    """``text`` with traditional characters replaced by simplified ones, one for one, so that places stay.

    By OpenCC's table of characters; where several are possible its first. Cost: 1 microsecond for a title.
    """
    return text if text.isascii() else text.translate(_simplified_of())


@lru_cache(maxsize=1)
def _simplified_of() -> Mapping[int, str]:
    table = files("opencc").joinpath("dictionary", "TSCharacters.txt").read_text("utf-8")
    pairs = (line.split("\t") for line in table.splitlines() if "\t" in line)
    return {ord(pair[0]): first for pair in pairs if (first := pair[1].split()[0]) and _CHINESE_CHARACTER.match(first)}


@lru_cache(maxsize=50_000)
def chinese_starts(run: str) -> tuple[int, ...]:
    """Where words of a run of Chinese begin; remembered, for titles repeat each other's phrases."""
    return tuple(first for _, first, _ in segmenter().tokenize(simplified(run), HMM=False))


def segmenter() -> Any:
    """The ``jieba.Tokenizer`` of this process, with its dictionary read."""
    with _lock:
        return _read_once()


@lru_cache(maxsize=1)
def _read_once() -> Any:
    """The dictionary of jieba, read without its loader, which shares a file under /tmp and prints to standard error."""
    jieba.setLogLevel(logging.WARNING)
    made = jieba.Tokenizer()
    made.FREQ, made.total = made.gen_pfdict(made.get_dict_file())
    made.initialized = True
    return made
