"""Cuts texts into batches of like length, so that little time goes into padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Int64Array = NDArray[np.int64]


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[Int64Array]:
    """Positions of at most ``batch_size`` texts each, shortest texts first; every position once."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def tokenized(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, cut to the tokenizer's limit; at least one token each.

    Characters outside Unicode proper (lone surrogates from broken sources) are replaced first.
    """
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return [encoding.ids or [0] for encoding in tokenizer.encode_batch_fast(clean)]


def padded(token_ids: Sequence[Sequence[int]]) -> tuple[Int64Array, Int64Array]:
    """Token ids and mask of one batch, (n, longest) int64 each; padding is token 0 under mask 0."""
    longest = max(len(ids) for ids in token_ids)
    tokens = np.zeros((len(token_ids), longest), dtype=np.int64)
    mask = np.zeros_like(tokens)
    for row, ids in enumerate(token_ids):
        tokens[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return tokens, mask
