"""An embeddings server that speaks OpenAI's ``/v1/embeddings``: a hosted model, vLLM, Ollama, TEI and others.

Enters: texts. Leaves: unit vectors. Texts leave this machine for the address in the settings, and nowhere else. The key
comes from the environment variable ``OPENAI_API_KEY``; servers without keys ignore it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Self

import numpy as np

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import ConfigError, ContractError
from aisle.language.openai_server import OpenAiServer
from aisle.settings import EncoderConfig

_TIMEOUT_SECONDS = 30.0
_RETRIES = 2


class ServedEncoder:
    """Vectors from a server. The first call asks for one vector to learn the dimension.

    A server's model may change behind its name; give it a new name when it does, since vectors are kept by name.
    """

    def __init__(
        self,
        model: str,
        address: str | None,
        *,
        batch_size: int,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        n_retries: int = _RETRIES,
    ) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            model: the served model's name.
            address: base address including ``/v1``; None for OpenAI's own.
            batch_size: texts a request.
            timeout_seconds: of one attempt.
            n_retries: further attempts after a connection error, a timeout, 408, 409, 429 or 5xx.

        Raises:
            ConfigError: the ``openai`` package is missing, or OpenAI's own server is meant and no key is set.
        """
        self._server = OpenAiServer.connect(
            "encoder", model, address, timeout_seconds=timeout_seconds, n_retries=n_retries
        )
        self._batch_size = batch_size
        self._known_dimension: int | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_config(cls, config: EncoderConfig, *, progress: Progress = silent) -> Self:
        """The served model that ``config`` names.

        Raises:
            ConfigError: no model is named.
        """
        del progress  # nothing is prepared here that takes time
        if config.model is None:
            raise ConfigError(
                'encoder.kind = "openai" needs encoder.model, the name under which the server offers its model',
                setting="encoder.model",
            )
        return cls(config.model, config.address, batch_size=config.batch_size)

    @property
    def fingerprint(self) -> str:
        """Identifies server and model."""
        return f"openai1:{self._server.where}:{self._server.model}"

    @property
    def dimension(self) -> int:
        """Length of a vector; asks the server once."""
        with self._lock:
            if self._known_dimension is None:
                self._known_dimension = int(self._asked(["dimension"]).shape[1])
            return self._known_dimension

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(len(texts), dimension) float32 unit rows.

        Raises:
            UnavailableError: the server does not answer, or not in time, or is overloaded.
            ConfigError: it refuses key or model.
            ContractError: its answer is not what the protocol promises.
        """
        parts = [np.empty((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(texts), self._batch_size):
            # The protocol forbids an empty text, and broken characters do not survive JSON.
            batch = [
                text.encode("utf-8", "replace").decode("utf-8") or " "
                for text in texts[start : start + self._batch_size]
            ]
            vectors = self._asked(batch)
            if vectors.shape[1] != self.dimension:
                raise ContractError(
                    f"{self._server.where} gave vectors of {vectors.shape[1]} numbers, earlier {self.dimension}"
                )
            parts.append(vectors)
            progress("encode", start + len(batch), len(texts))
        return np.concatenate(parts)

    def _asked(self, batch: list[str]) -> Float32Array:
        answer = self._server.asked(
            lambda client: client.embeddings.create(model=self._server.model, input=batch, encoding_format="float")
        )
        where = self._server.where
        rows = sorted(answer.data, key=lambda row: row.index)
        if [row.index for row in rows] != list(range(len(batch))):
            raise ContractError(f"{where} gave {len(rows)} vectors for {len(batch)} texts")
        try:
            vectors = np.array([row.embedding for row in rows], dtype=np.float32)  # (b, d)
        except ValueError as error:
            raise ContractError(f"{where} gave vectors of different lengths") from error
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if vectors.ndim != 2 or not np.isfinite(norms).all() or not norms.all():
            raise ContractError(f"{where} gave a vector that is zero or not finite")
        return vectors / norms
