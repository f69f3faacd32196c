"""From one vector a token to one unit vector a text.

Works on torch tensors without importing torch, so that the exporter and the transformers encoder share one rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aisle.language.model_folder import Pooling

if TYPE_CHECKING:
    from torch import Tensor


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Unit vectors of texts.

    Args:
        hidden: (n, length, d) token vectors.
        mask: (n, length) 1 at tokens, 0 at padding; at least one token a row.
        pooling: mean over tokens, the first token, the last token, or the largest value over tokens.

    Returns:
        (n, d) unit rows.
    """
    if pooling == "cls":
        vectors = hidden[:, 0]
    elif pooling == "last":
        is_other = (mask == 0) | (mask.cumsum(dim=1) != mask.sum(dim=1, keepdim=True))  # (n, length)
        vectors = hidden.masked_fill(is_other.unsqueeze(-1), 0.0).sum(dim=1)
    elif pooling == "max":
        vectors = hidden.masked_fill(mask.unsqueeze(-1) == 0, -1e9).amax(dim=1)
    else:
        weight = mask.unsqueeze(-1).to(hidden.dtype)  # (n, length, 1)
        vectors = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
