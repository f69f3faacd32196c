"""Opens the models that the settings name."""

from __future__ import annotations

from functools import partial

from aisle.contracts import ChatModel, Encoder, Progress, silent
from aisle.errors import ConfigError
from aisle.language.on_ray import RayEncoder
from aisle.registry import find
from aisle.settings import ChatConfig, EncoderConfig
from aisle.training.cluster import require_ray


def open_encoder(config: EncoderConfig, *, progress: Progress = silent) -> Encoder:
    """The encoder registered as ``config.kind``, ready to encode.

    The first opening of the packaged model on a machine exports it to ONNX (about 15 s); later ones take under 1 s.

    Raises:
        ConfigError: unknown kind, or a model or setting that does not fit it.
        UnavailableError: a model that must be fetched, or a server, does not answer.
    """
    return find("aisle.encoders", config.kind).from_config(config, progress=progress)


def for_many(encoder: Encoder, config: EncoderConfig) -> Encoder:
    """``encoder``, as ``open_encoder`` opened it, for many texts: on a Ray cluster where ``config.ray`` is set.

    Raises:
        ConfigError: Ray is not installed. That a cluster does not answer is told when it is needed.
    """
    if config.ray is None:
        return encoder
    require_ray("[encoder.ray]", "encoder.ray")
    there = config.model_copy(update={"ray": None, "n_threads": config.ray.cpus})
    return RayEncoder(encoder, partial(open_encoder, there), config.ray)


def open_chat_model(config: ChatConfig | None, wanted_by: str, *, progress: Progress = silent) -> ChatModel:
    """The chat model registered as ``config.kind``, ready to answer.

    Args:
        config: ``[chat]`` of the settings, None where there is none.
        wanted_by: what needs it, for the message: a setting or a command.
        progress: hears of a model being loaded.

    Raises:
        ConfigError: there is none, or an unknown kind, or a model or setting that does not fit it.
        UnavailableError: a model that must be fetched does not come.
    """
    return find("aisle.chat_models", require_chat_model(config, wanted_by).kind).from_config(config, progress=progress)


def require_chat_model(config: ChatConfig | None, wanted_by: str) -> ChatConfig:
    """Refuse at once what ``open_chat_model`` would refuse because the shop names no chat model."""
    if config is None:
        raise ConfigError(
            f"{wanted_by} needs a chat model, and the shop names none; add [chat] with kind and model to aisle.toml, "
            "see docs/settings.md",
            setting="chat",
        )
    return config
