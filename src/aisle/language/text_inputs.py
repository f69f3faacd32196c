"""Texts, or pairs of them, as the batches that a transformers model reads."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from aisle.contracts import Float32Array
from aisle.language.adapters import without_adapter
from aisle.language.int_rows import AT_ONCE, IntRows

Int64Array = NDArray[np.int64]
Batch = dict[str, torch.Tensor]


class Inputs(Protocol):
    """Examples as a network takes them."""

    @property
    def lengths(self) -> Int64Array:
        """(n,) tokens of each."""
        ...

    def batch(self, rows: Int64Array) -> Batch:
        """The network's arguments for some of them."""
        ...


class TokenInputs:
    """Implements ``Inputs``: token ids, and to which of two texts each belongs where the model asks for that."""

    def __init__(
        self, tokenizer: Any, model: Any, texts: Sequence[str], second: Sequence[str | None], max_tokens: int
    ) -> None:
        """Cut to ``max_tokens``, of a pair the longer text first; a text has at least one token."""
        n_types = int(getattr(model.config, "type_vocab_size", 0) or 0)
        takes = inspect.signature(without_adapter(model).forward).parameters  # adapters pass everything on
        self._has_types = n_types > 1 and "token_type_ids" in takes
        self._padding = int(tokenizer.pad_token_id or 0)
        ids: list[IntRows] = []
        types: list[IntRows] = []
        for start in range(0, len(texts), AT_ONCE):
            page = slice(start, start + AT_ONCE)
            read = self._read(tokenizer, texts[page], second[page], max_tokens)
            ids.append(IntRows.of(own for own, _ in read))
            types.append(IntRows.of(own for _, own in read))
        self._ids, self._types = IntRows.joined(ids), IntRows.joined(types)

    def _read(
        self, tokenizer: Any, texts: Sequence[str], second: Sequence[str | None], max_tokens: int
    ) -> list[tuple[list[int], list[int]]]:
        """Token ids and types of each text or pair."""
        found: list[tuple[list[int], list[int]]] = [([self._padding], [0]) for _ in texts]
        single = [row for row, other in enumerate(second) if other is None]
        pairs = [row for row, other in enumerate(second) if other is not None]
        for rows in (single, pairs):
            if not rows:
                continue
            sides = [[_readable(texts[row]) for row in rows]]
            if rows is pairs:
                sides.append([_readable(second[row] or "") for row in rows])
            read = tokenizer(*sides, truncation=True, max_length=max_tokens)
            types = read.get("token_type_ids") or [[0] * len(ids) for ids in read["input_ids"]]
            for row, ids, of_row in zip(rows, read["input_ids"], types, strict=True):
                if ids:
                    found[row] = ids, of_row
        return found

    @property
    def lengths(self) -> Int64Array:
        """(n,) tokens."""
        return self._ids.lengths

    def batch(self, rows: Int64Array) -> Batch:
        """``input_ids``, ``attention_mask``, where asked for ``token_type_ids``; (b, longest) int64 each."""
        ids = [self._ids[row] for row in rows.tolist()]
        longest = max(len(one) for one in ids)
        tokens = np.full((len(ids), longest), self._padding, dtype=np.int64)
        mask, types = np.zeros_like(tokens), np.zeros_like(tokens)
        for place, row in enumerate(rows.tolist()):
            n = len(ids[place])
            tokens[place, :n], mask[place, :n], types[place, :n] = ids[place], 1, self._types[row]
        found = {"input_ids": torch.from_numpy(tokens), "attention_mask": torch.from_numpy(mask)}
        return {**found, "token_type_ids": torch.from_numpy(types)} if self._has_types else found


class VectorInputs:
    """Implements ``Inputs``: vectors of texts that were computed before."""

    def __init__(self, vectors: Float32Array) -> None:
        """(n, d), as the heads take them."""
        self._vectors = vectors

    @property
    def lengths(self) -> Int64Array:
        """(n,) 1 each."""
        return np.ones(len(self._vectors), dtype=np.int64)

    def batch(self, rows: Int64Array) -> Batch:
        """``vectors``, (b, d) float32."""
        return {"vectors": torch.from_numpy(self._vectors[rows])}


def _readable(text: str) -> str:
    """Without lone surrogates, which tokenizers refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")
