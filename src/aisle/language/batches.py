"""Cuts texts into batches of like length, so that little time goes into padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from aisle.contracts import Float32Array
from aisle.language.int_rows import Int32Array, IntRows, pages_of

Int64Array = NDArray[np.int64]


def length_batches(lengths: Sequence[int] | Int64Array, batch_size: int) -> Iterator[Int64Array]:
    """Positions of at most ``batch_size`` texts each, shortest texts first; every position once."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def tokenized(tokenizer: Tokenizer, texts: Sequence[str], *, with_marks: bool = True) -> IntRows:
    """Token ids of each text, cut to the tokenizer's limit; at least one token each. Marks are ``[CLS]`` and the like.

    Characters outside Unicode proper (lone surrogates from broken sources) are replaced first.
    """
    return IntRows.in_pages(
        [encoding.ids or [0] for encoding in tokenizer.encode_batch_fast(clean(page), add_special_tokens=with_marks)]
        for page in pages_of(texts)
    )


def token_ids_by(tokenizer: Any, texts: Sequence[str], max_tokens: int, *, with_marks: bool = True) -> IntRows:
    """What ``tokenized`` gives, by a tokenizer of transformers, cut to ``max_tokens``."""
    cut = {"truncation": True, "max_length": max_tokens, "add_special_tokens": with_marks}
    return IntRows.in_pages(
        [ids or [0] for ids in tokenizer(clean(page), **cut)["input_ids"]] for page in pages_of(texts)
    )


def clean(texts: Sequence[str]) -> list[str]:
    """``texts`` with what is no Unicode proper replaced, at which tokenizers stop."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def unknown_token(tokenizer: Tokenizer) -> int | None:
    """What stands for text that the vocabulary has no token for; None where every text has tokens (bytes)."""
    names = (getattr(tokenizer.model, "unk_token", None), "<unk>", "[UNK]")
    found = (tokenizer.token_to_id(name) for name in names if name)
    return next((token for token in found if token is not None), None)


def unread_shares(token_ids: IntRows, unknown: int | None) -> Float32Array:
    """The share of each text's tokens that is ``unknown``; 0 for no tokens and where a vocabulary has no such token.

    English models put ``[UNK]`` for nearly every Chinese character: 95% of 1,000 real Chinese shopping queries are
    unread by a third or more, and what is less is mostly written in Latin letters.
    """
    if unknown is None:
        return np.zeros(len(token_ids), dtype=np.float32)
    return (token_ids.counts(unknown) / np.maximum(token_ids.lengths, 1)).astype(np.float32)


def padded(token_ids: Sequence[Sequence[int] | Int32Array]) -> tuple[Int64Array, Int64Array]:
    """Token ids and mask of one batch, (n, longest) int64 each; padding is token 0 under mask 0."""
    longest = max(len(ids) for ids in token_ids)
    tokens = np.zeros((len(token_ids), longest), dtype=np.int64)
    mask = np.zeros_like(tokens)
    for row, ids in enumerate(token_ids):
        tokens[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return tokens, mask
