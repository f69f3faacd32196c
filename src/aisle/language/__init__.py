"""The large model: text in, vectors or answers out. Torch is imported only to export or to run transformers."""

from aisle.language.opening import for_many, open_chat_model, open_encoder, require_chat_model
from aisle.language.remembered import RememberingEncoder

__all__ = ["RememberingEncoder", "for_many", "open_chat_model", "open_encoder", "require_chat_model"]
