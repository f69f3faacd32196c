"""From one vector a token to one vector a text, of unit length where cosines are wanted.

Works on torch tensors without importing torch, so that the exporter and the transformers encoder share one rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aisle.language.model_folder import Pooling

if TYPE_CHECKING:
    from torch import Tensor


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """(n, d) unit rows; arguments as for ``gathered``."""
    vectors = gathered(hidden, mask, pooling)
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)


def gathered(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Vectors of texts, as long as they come.

    Args:
        hidden: (n, length, d) token vectors.
        mask: (n, length) 1 at tokens, 0 at padding; at least one token a row.
        pooling: mean over tokens, the first token, the last token, or the largest value over tokens.

    Returns:
        (n, d).
    """
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        is_other = (mask == 0) | (mask.cumsum(dim=1) != mask.sum(dim=1, keepdim=True))  # (n, length)
        return hidden.masked_fill(is_other.unsqueeze(-1), 0.0).sum(dim=1)
    if pooling == "max":
        return hidden.masked_fill(mask.unsqueeze(-1) == 0, -1e9).amax(dim=1)
    weight = mask.unsqueeze(-1).to(hidden.dtype)  # (n, length, 1)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)
