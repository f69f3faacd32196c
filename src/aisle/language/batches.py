"""Cuts texts into batches of like length, so that little time goes into padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from aisle.contracts import Float32Array

Int64Array = NDArray[np.int64]


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[Int64Array]:
    """Positions of at most ``batch_size`` texts each, shortest texts first; every position once."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def tokenized(tokenizer: Tokenizer, texts: Sequence[str], *, with_marks: bool = True) -> list[list[int]]:
    """Token ids of each text, cut to the tokenizer's limit; at least one token each. Marks are ``[CLS]`` and the like.

    Characters outside Unicode proper (lone surrogates from broken sources) are replaced first.
    """
    encodings = tokenizer.encode_batch_fast(clean(texts), add_special_tokens=with_marks)
    return [encoding.ids or [0] for encoding in encodings]


def token_ids_by(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """What ``tokenized`` gives, by a tokenizer of transformers, cut to ``max_tokens``."""
    if not len(texts):
        return []
    read = tokenizer(clean(texts), truncation=True, max_length=max_tokens)
    return [ids or [0] for ids in read["input_ids"]]


def clean(texts: Sequence[str]) -> list[str]:
    """``texts`` with what is no Unicode proper replaced, at which tokenizers stop."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def unknown_token(tokenizer: Tokenizer) -> int | None:
    """What stands for text that the vocabulary has no token for; None where every text has tokens (bytes)."""
    names = (getattr(tokenizer.model, "unk_token", None), "<unk>", "[UNK]")
    found = (tokenizer.token_to_id(name) for name in names if name)
    return next((token for token in found if token is not None), None)


def unread_shares(token_ids: Sequence[Sequence[int]], unknown: int | None) -> Float32Array:
    """The share of each text's tokens that is ``unknown``; 0 for no tokens and where a vocabulary has no such token.

    English models put ``[UNK]`` for nearly every Chinese character: 95% of 1,000 real Chinese shopping queries are
    unread by a third or more, and what is less is mostly written in Latin letters.
    """
    shares = [sum(token == unknown for token in ids) / max(len(ids), 1) for ids in token_ids]
    return np.array(shares, dtype=np.float32)


def padded(token_ids: Sequence[Sequence[int]]) -> tuple[Int64Array, Int64Array]:
    """Token ids and mask of one batch, (n, longest) int64 each; padding is token 0 under mask 0."""
    longest = max(len(ids) for ids in token_ids)
    tokens = np.zeros((len(token_ids), longest), dtype=np.int64)
    mask = np.zeros_like(tokens)
    for row, ids in enumerate(token_ids):
        tokens[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return tokens, mask
