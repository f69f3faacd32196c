"""Never encodes the same text twice: vectors are kept by model fingerprint and content hash."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np

from aisle.contracts import EmbeddingStore, Encoder, Float32Array, Progress, Rows, silent
from aisle.errors import CorruptError
from aisle.language.on_ray import RayEncoder

_TEXTS_AT_ONCE = 1024
"""Encoded and kept in one step: what a killed run loses at most."""


class RememberingEncoder:
    """An encoder whose vectors are kept in a store, for texts that come again: those of items and documents.

    Do not use it for what shoppers type: every text it is given is kept.
    """

    def __init__(self, encoder: Encoder, store: EmbeddingStore) -> None:
        """Wrap ``encoder``; ``store`` may be shared with other encoders, fingerprints keep them apart."""
        self._encoder = encoder
        self._store = store

    @property
    def fingerprint(self) -> str:
        """The wrapped encoder's: the vectors are the same."""
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(len(texts), dimension) float32 unit rows; only texts never seen before are encoded.

        Raises:
            CorruptError: the store gives a vector of another length.
        """
        hashes = [content_hash(text) for text in texts]
        text_of = dict(zip(hashes, texts, strict=True))
        vector_of = self._store.read(self.fingerprint, list(text_of))
        missing = [key for key in text_of if key not in vector_of]
        # Longest texts last, so that each step holds texts of like length and little goes into padding.
        missing.sort(key=lambda key: len(text_of[key]))
        done = 0
        with closing(self._in_parts([text_of[key] for key in missing], progress)) as parts:
            for rows, fresh in parts:
                keys = [missing[row] for row in rows.tolist()]
                self._store.append(self.fingerprint, keys, fresh)
                vector_of.update(zip(keys, fresh, strict=True))
                done += len(keys)
                progress("encode", done, len(missing))
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, key in enumerate(hashes):
            vector = vector_of[key]
            if vector.shape != (self.dimension,):
                raise CorruptError(
                    f"a kept vector of {self.fingerprint} has shape {vector.shape}, not ({self.dimension},); "
                    "remove the kept embeddings and run `aisle train`"
                )
            vectors[row] = vector
        return vectors

    def _in_parts(self, texts: list[str], progress: Progress) -> Generator[tuple[Rows, Float32Array]]:
        """Rows of ``texts`` and their vectors, as they come, so that they are kept before all are there."""
        if isinstance(self._encoder, RayEncoder):
            yield from self._encoder.in_parts(texts, progress=progress)
            return
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[start : start + _TEXTS_AT_ONCE]
            yield np.arange(start, start + len(some)), self._encoder.encode(some)


def content_hash(text: str) -> str:
    """128 bits of BLAKE2b over the UTF-8 text, in hexadecimal."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
