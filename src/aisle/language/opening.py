"""Opens the encoder that the settings name."""

from __future__ import annotations

from aisle.contracts import Encoder, Progress, silent
from aisle.registry import find
from aisle.settings import EncoderConfig


def open_encoder(config: EncoderConfig, *, progress: Progress = silent) -> Encoder:
    """The encoder registered as ``config.kind``, ready to encode.

    The first opening of the packaged model on a machine exports it to ONNX (about 15 s); later ones take under 1 s.

    Raises:
        ConfigError: unknown kind, or a model or setting that does not fit it.
        UnavailableError: a model that must be fetched, or a server, does not answer.
    """
    return find("aisle.encoders", config.kind).from_config(config, progress=progress)
