"""The default encoder: a language model run by ONNX Runtime, without torch.

Enters: texts. Leaves: unit vectors. The model is exported once a machine and kept by fingerprint (``onnx_cache``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import CorruptError
from aisle.language.batches import Int64Array, length_batches, padded, tokenized, unknown_token, unread_shares
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.language.onnx_cache import exported
from aisle.settings import EncoderConfig

_FORMAT = {"fp32": 1, "int8": 2}
"""By precision; raised when the exported graph changes, so that older caches are not read."""


def fingerprint_of(model: ModelFolder, precision: str) -> str:
    """Tells an exported model from all others."""
    return f"onnx{_FORMAT[precision]}:{precision}:{model.digest[:32]}"


class OnnxEncoder:
    """A transformer with its pooling in one ONNX graph; fp32 or int8 per channel.

    int8 scales activations by the largest value of what it is given at once, so in a batch one text's vector would
    depend on its neighbours (by up to .04 a component, measured). Therefore int8 runs one text at a time, each on one
    core and as many at once as there are cores, which is as fast as batches.

    Cost on 2 cores, MiniLM, product titles: about 430 texts/s fp32, 820 int8; a query 3.6 ms and 2.1 ms; 150 MB.
    """

    def __init__(
        self, folder: Path, fingerprint: str, *, precision: Literal["fp32", "int8"], batch_size: int, n_threads: int
    ) -> None:
        """Load an exported model.

        Args:
            folder: holds ``model.onnx`` and ``tokenizer.json``.
            fingerprint: identifies model and settings.
            precision: what the graph was exported as.
            batch_size: texts a batch (fp32).
            n_threads: cores one ``encode`` uses; 0 takes all.

        Raises:
            CorruptError: a file cannot be read.
        """
        is_single = precision == "int8"
        self._n_workers = (n_threads or os.cpu_count() or 1) if is_single else 1
        self._batch_size = 1 if is_single else batch_size
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1 if is_single else n_threads
        options.inter_op_num_threads = 1
        # A spinning pool would take the cores that vector search and the web server need between two queries.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # both libraries raise their own undocumented types
            raise CorruptError(f"{folder}: {error}; delete the folder to export anew", path=str(folder)) from error
        self._unknown_token = unknown_token(self._tokenizer)
        self._fingerprint = fingerprint
        self.megabytes = (folder / "model.onnx").stat().st_size / 1e6
        """Size of the graph on the disk."""
        self._dimension = int(self._session.get_outputs()[0].shape[1])

    @classmethod
    def from_config(cls, config: EncoderConfig, *, progress: Progress = silent) -> Self:
        """The encoder that ``config`` names, exported first when this machine has not done so yet.

        Shops of one process share it: it holds nothing but the model. The latest few stay loaded.
        """
        model = open_model_folder(config.model)
        fingerprint = fingerprint_of(model, config.precision)
        folder = exported(model, config.precision, fingerprint, progress)
        return cls._shared(folder, fingerprint, config.precision, config.batch_size, config.n_threads)

    @classmethod
    @lru_cache(maxsize=4)
    def _shared(
        cls, folder: Path, fingerprint: str, precision: Literal["fp32", "int8"], batch_size: int, n_threads: int
    ) -> Self:
        return cls(folder, fingerprint, precision=precision, batch_size=batch_size, n_threads=n_threads)

    @property
    def fingerprint(self) -> str:
        """Identifies model and settings."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(len(texts), dimension) float32 unit rows; a text beyond the model's length is cut."""
        vectors = np.empty((len(texts), self._dimension), dtype=np.float32)
        if not len(texts):
            return vectors
        token_ids = tokenized(self._tokenizer, texts)

        def fill(batch: Int64Array) -> int:
            tokens, mask = padded([token_ids[position] for position in batch])  # (b, length) each
            vectors[batch] = np.asarray(self._session.run(None, {"input_ids": tokens, "attention_mask": mask})[0])
            return len(batch)

        batches = list(length_batches(token_ids.lengths, self._batch_size))
        done = 0
        with ThreadPoolExecutor(self._n_workers) as workers:
            for n_done in workers.map(fill, batches) if len(batches) > 1 else map(fill, batches):
                done += n_done
                progress("encode", done, len(texts))
        if not np.isfinite(vectors).all():
            raise CorruptError(f"the model {self._fingerprint} gave vectors that are not finite; export it anew")
        return vectors

    def unread_shares(self, texts: Sequence[str]) -> Float32Array:
        """The share of each text's tokens that the model has no token for, (len(texts),) float32."""
        token_ids = tokenized(self._tokenizer, texts, with_marks=False)
        return unread_shares(token_ids, self._unknown_token)
