"""Learning that texts which belong together lie close: a query and what was clicked, a title and its description.

Enters: texts and pairs of them. Leaves: batches and a loss for the training loop. Every other right text of a batch is
a negative (van den Oord et al. 2018, "Representation learning with contrastive predictive coding", equation 4), except
those that are known to belong to the same left text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from aisle.language.adapt_config import ContrastConfig
from aisle.language.batches import padded, token_ids_by
from aisle.language.contrast_pairs import TextPairs
from aisle.language.int_rows import IntRows
from aisle.language.views import View

Int64Array = NDArray[np.int64]
Batch = dict[str, torch.Tensor]
Belongs = Callable[[Sequence[str], Sequence[str]], NDArray[np.bool_]]


class Contrast:
    """Implements ``training.loop.Objective`` for a ``TextTower``.

    Cost: a forward and a backward pass over both sides. Several processes have negatives of their own only.
    """

    def __init__(
        self,
        name: str,
        pairs: TextPairs,
        tokenizer: Any,
        config: ContrastConfig,
        *,
        left_view: View | None = None,
        right_view: View | None = None,
        belongs: Belongs | None = None,
    ) -> None:
        """Learn ``pairs``; views change a text at random each time it is read.

        ``belongs`` (lefts, rights) -> (b, m) tells of texts as they are read which ones belong together besides.
        """
        self.name = name
        self._pairs, self._tokenizer, self._config = pairs, tokenizer, config
        self._views = {"left": left_view, "right": right_view}
        self._also_belongs = belongs
        self._weight = np.ones(len(pairs)) if pairs.weight is None else pairs.weight
        lengths = [self._token_ids(side).lengths for side in (pairs.lefts, pairs.rights)]
        self._lengths = lengths[0][pairs.left] + lengths[1][pairs.right]
        # equal texts are one, whichever rows and sides they stand on
        number = {text: at for at, text in reversed(list(enumerate(pairs.rights)))}
        self._same_right = np.array([number[text] for text in pairs.rights], dtype=np.int64)
        self._same_left = np.array([number.get(text, -1) for text in pairs.lefts], dtype=np.int64)
        order = np.argsort(pairs.left, kind="stable")
        self._by_left = self._same_right[pairs.right[order]]
        self._starts = np.searchsorted(pairs.left[order], np.arange(len(pairs.lefts) + 1))

    @property
    def lengths(self) -> Int64Array:
        """(n_pairs,) tokens of both sides together."""
        return self._lengths

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """Tokens of left texts (b, ...) and right ones (m, ...): those of the pairs, then hard negatives.

        ``no_negative`` (b, m) tells what is no negative of a left text, as it belongs to it too; ``weight`` (b,) how
        much each pair counts.
        """
        left, right = self._pairs.left[rows], self._pairs.right[rows]
        candidates = np.concatenate([right, self._hard_negatives(left, right, rng)])
        belongs = np.zeros((len(left), len(candidates)), dtype=np.bool_)
        texts_of = self._same_right[candidates]
        for at, one in enumerate(left):
            own = self._by_left[self._starts[one] : self._starts[one + 1]]
            belongs[at] = np.isin(texts_of, own) | (texts_of == self._same_left[one])
        batch: Batch = {"weight": torch.from_numpy(self._weight[rows].astype(np.float32))}
        read: list[list[str]] = []
        sides: list[tuple[str, Sequence[str], Int64Array]] = [
            ("left", self._pairs.lefts, left),
            ("right", self._pairs.rights, candidates),
        ]
        for side, of_side, chosen in sides:
            texts = [of_side[int(one)] for one in chosen]
            view = self._views[side]
            if view is not None:
                texts = [view(text, rng) for text in texts]
            tokens, mask = padded(list(self._token_ids(texts)))
            batch |= {f"{side}_ids": torch.from_numpy(tokens), f"{side}_mask": torch.from_numpy(mask)}
            read.append(texts)
        if self._also_belongs is not None:
            belongs |= self._also_belongs(*read)
        belongs[np.arange(len(left)), np.arange(len(left))] = False
        return {**batch, "no_negative": torch.from_numpy(belongs)}

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean over pairs, by weight, of minus the log-probability of the right text among all of the batch."""
        left = model(batch["left_ids"], batch["left_mask"])  # (b, d)
        right = model(batch["right_ids"], batch["right_mask"])  # (m, d)
        logits = (self._config.scale * left @ right.T).float()  # (b, m)
        logits = logits.masked_fill(batch["no_negative"], -torch.inf)
        wanted = torch.arange(len(left), device=logits.device)
        losses = cross_entropy(logits, wanted, reduction="none")  # (b,)
        if self._config.both_ways:
            losses = 0.5 * (losses + cross_entropy(logits[:, : len(left)].T, wanted, reduction="none"))
        weight = batch["weight"].to(losses.dtype)
        return (weight * losses).sum() / weight.sum()

    def _hard_negatives(self, left: Int64Array, right: Int64Array, rng: np.random.Generator) -> Int64Array:
        wrong = [self._pairs.wrong[one] for one in left.tolist() if one in self._pairs.wrong]
        if not wrong or not self._config.hard_negatives:
            return np.empty(0, dtype=np.int64)
        known = np.setdiff1d(np.concatenate(wrong), right)
        return rng.permutation(known)[: self._config.hard_negatives]

    def _token_ids(self, texts: Sequence[str]) -> IntRows:
        return token_ids_by(self._tokenizer, texts, self._config.max_tokens)
