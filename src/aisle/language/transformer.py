"""Any transformers model as an encoder, on CPU or GPU.

Enters: texts. Leaves: unit vectors. Nothing is fetched unless the settings name a Hugging Face model that is not on
this machine (``model_folder``). Torch and transformers are imported when an encoder is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import ConfigError, CorruptError
from aisle.language.batches import length_batches, padded, token_ids_by, unread_shares
from aisle.language.model_folder import ModelFolder, Pooling, open_model_folder
from aisle.language.pooling import pooled
from aisle.settings import EncoderConfig


class TransformerEncoder:
    """The reference implementation: what ONNX is compared with, and the way to run a model on a GPU.

    Pooling is what the model's folder says; where it says nothing, mean, or the last token of a decoder. Weights are
    read from safetensors only and run in float32. Cost on 2 cores, MiniLM, product titles: about 140 texts/s, a
    query 11 ms.
    """

    def __init__(self, model: ModelFolder, *, batch_size: int, n_threads: int, device: str | None = None) -> None:
        """Load the model.

        Args:
            model: where it lies.
            batch_size: texts a batch.
            n_threads: cores of this process that torch uses, 0 for all; torch keeps one number a process.
            device: a torch device; None takes the GPU where there is one.

        Raises:
            ConfigError: transformers cannot load it.
        """
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # progress is told through ``Progress``, not printed
        if n_threads:
            torch.set_num_threads(n_threads)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model.path, local_files_only=True)
            self._model = AutoModel.from_pretrained(
                model.path, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        except Exception as error:  # transformers raises whatever the model's code raises
            raise ConfigError(f"{model.path} does not load: {error}", setting="encoder.model") from error
        self._model.eval().to(self._device)
        self._pooling: Pooling = model.pooling
        self._max_tokens = model.max_tokens
        self._batch_size = batch_size
        self._fingerprint = f"transformers1:{model.digest[:32]}"

    @classmethod
    def from_config(cls, config: EncoderConfig, *, progress: Progress = silent) -> Self:
        """The model that ``config.model`` names; the packaged MiniLM where it names none.

        Raises:
            ConfigError: ``precision`` is int8, which only onnx offers.
        """
        if config.precision != "fp32":
            raise ConfigError(
                f'encoder.precision = {config.precision!r} with kind = "transformers": only "fp32" is offered; '
                'use kind = "onnx" for int8',
                setting="encoder.precision",
            )
        progress("open model", 0, 1)
        encoder = cls(open_model_folder(config.model), batch_size=config.batch_size, n_threads=config.n_threads)
        progress("open model", 1, 1)
        return encoder

    @property
    def fingerprint(self) -> str:
        """Identifies model and settings."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(len(texts), dimension) float32 unit rows; a text beyond the model's length is cut."""
        import torch

        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not len(texts):
            return vectors
        token_ids = token_ids_by(self._tokenizer, texts, self._max_tokens)
        done = 0
        for batch in length_batches(token_ids.lengths, self._batch_size):
            arrays = padded([token_ids[row] for row in batch])
            tokens, mask = (torch.from_numpy(array).to(self._device) for array in arrays)  # (b, length) each
            with torch.inference_mode():
                hidden = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state  # (b, length, d)
                vectors[batch] = pooled(hidden, mask, self._pooling).float().cpu().numpy()
            done += len(batch)
            progress("encode", done, len(texts))
        if not np.isfinite(vectors).all():
            raise CorruptError(f"the model {self._fingerprint} gave vectors that are not finite; check its weights")
        return vectors

    def unread_shares(self, texts: Sequence[str]) -> Float32Array:
        """The share of each text's tokens that the model has no token for, (len(texts),) float32."""
        if not len(texts):
            return np.zeros(0, dtype=np.float32)
        token_ids = token_ids_by(self._tokenizer, texts, self._max_tokens, with_marks=False)
        return unread_shares(token_ids, self._tokenizer.unk_token_id)
