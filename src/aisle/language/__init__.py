"""The large model: text in, unit vectors out. Torch is imported only to export a model or to run transformers."""

from aisle.language.opening import open_encoder
from aisle.language.remembered import RememberingEncoder

__all__ = ["RememberingEncoder", "open_encoder"]
