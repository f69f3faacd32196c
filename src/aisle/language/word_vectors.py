"""Where the words of a new model begin: beside the words they are read with, before the first step of training.

Enters: token ids of texts. Leaves: a vector a token. Positive pointwise mutual information of tokens near each other,
factorised (Levy, Goldberg and Dagan 2015, "Improving distributional similarity with lessons learned from word
embeddings": context distribution smoothing 0.75, square root of the singular values). It takes seconds where masked
words take hours to come as far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from aisle.contracts import Float32Array
from aisle.language.int_rows import Int32Array, IntRows

_WINDOW = 5
"""Tokens to each side that count as near; the n-th counts 1/n."""
_SMOOTHING = 0.75
_TEXTS_AT_ONCE = 20_000
_MOST_TEXTS = 200_000
_OVERSAMPLED, _ITERATIONS = 10, 3


def word_vectors(
    token_ids: Sequence[Sequence[int]] | IntRows, n_tokens: int, width: int, seed: int = 0
) -> Float32Array:
    """(n_tokens, width) float32 rows of length 1; 0 for tokens that stand in no text beside another.

    Args:
        token_ids: of texts; of more than 200,000, so many are drawn.
        n_tokens: in the vocabulary.
        width: of a vector; what the texts have no directions for is 0.
        seed: of what is drawn, and of the factorisation.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(token_ids))[:_MOST_TEXTS]
    informative = _informative(_near([token_ids[row] for row in drawn.tolist()], n_tokens))
    rank = min(width, n_tokens)
    left, sizes = _factorised(informative, rank, rng)
    vectors = np.zeros((n_tokens, width))
    vectors[:, :rank] = left * np.sqrt(sizes)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 1e-9, lengths, np.inf)).astype(np.float32)


def _near(token_ids: Sequence[Sequence[int] | Int32Array], n_tokens: int) -> Any:
    """(n_tokens, n_tokens) sparse: how much each token is near each other one; symmetric."""
    total = sparse.csr_matrix((n_tokens, n_tokens))
    for start in range(0, len(token_ids), _TEXTS_AT_ONCE):
        some = token_ids[start : start + _TEXTS_AT_ONCE]
        tokens = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in some])
        text = np.repeat(np.arange(len(some)), [len(ids) for ids in some])
        for apart in range(1, _WINDOW + 1):
            together = text[:-apart] == text[apart:]
            pairs = tokens[:-apart][together], tokens[apart:][together]
            weights = np.full(len(pairs[0]), 1.0 / apart)
            total = total + sparse.csr_matrix((weights, pairs), shape=total.shape)
    return total + total.T


def _informative(near: Any) -> Any:
    """Positive pointwise mutual information, sparse."""
    pairs = near.tocoo()
    of_token = np.asarray(near.sum(axis=1)).ravel()
    of_context = of_token**_SMOOTHING
    if not pairs.nnz:
        return pairs.tocsr()
    values = np.log(pairs.data * of_context.sum() / (of_token[pairs.row] * of_context[pairs.col]))
    kept = values > 0.0
    return sparse.csr_matrix((values[kept], (pairs.row[kept], pairs.col[kept])), shape=near.shape)


def _factorised(matrix: Any, rank: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The first left singular vectors (n, rank) and values, by random projection (Halko et al. 2011, algorithm 4.4)."""
    n = matrix.shape[0]
    basis = rng.normal(size=(n, min(n, rank + _OVERSAMPLED)))
    for _ in range(_ITERATIONS + 1):
        basis, _ = np.linalg.qr(matrix @ basis)
        basis, _ = np.linalg.qr(matrix.T @ basis)
    left, sizes, _ = np.linalg.svd(matrix @ basis, full_matrices=False)
    return left[:, :rank], sizes[:rank]
