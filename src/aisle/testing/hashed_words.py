"""An encoder that needs no model: for tests of what stands on an encoder, not of meaning."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from aisle.contracts import Float32Array, Progress, silent

_WORD = re.compile(r"[a-z0-9]+|[^\W\da-z]", re.UNICODE)


class HashedWords:
    """Texts that share words lie near each other: each word (Chinese: character) adds its own random direction.

    Keeps every promise of ``contracts.Encoder``. Cost: microseconds a word.
    """

    def __init__(self, dimension: int = 64) -> None:
        self._dimension = dimension

    @property
    def fingerprint(self) -> str:
        """Identifies the method and its dimension."""
        return f"hashed-words-1:{self._dimension}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(len(texts), dimension) float32 unit rows."""
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float64)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()) or [""]:
                vectors[row] += self._direction(word)
        progress("encode", len(texts), len(texts))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def _direction(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        return np.random.default_rng(seed).normal(size=self._dimension)
