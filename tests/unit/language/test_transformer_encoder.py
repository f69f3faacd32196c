from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aisle.errors import ConfigError
from aisle.language.model_folder import open_model_folder
from aisle.language.transformer import TransformerEncoder
from aisle.settings import EncoderConfig

TEXTS = ["red tea", "kettle", "boots boots green", ""]


def _token_vectors(folder: Path, text: str) -> np.ndarray:
    """(length, d) straight from transformers, one text, no padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")
    with torch.inference_mode():
        return AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0].numpy()


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [("mean", lambda v: v.mean(axis=0)), ("cls", lambda v: v[0]), ("max", lambda v: v.max(axis=0))],
)
def test_pooling_of_padded_batches_is_that_of_single_texts(
    pooling: str, pool: Callable[[np.ndarray], np.ndarray], small_model: Callable[[str], Path]
) -> None:
    folder = small_model(pooling)

    vectors = TransformerEncoder.from_config(EncoderConfig(kind="transformers", model=str(folder))).encode(TEXTS)

    for text, vector in zip(TEXTS, vectors, strict=True):
        expected = pool(_token_vectors(folder, text))
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_the_fingerprint_follows_the_weights(small_model: Callable[[str], Path]) -> None:
    folder = small_model("mean")
    before = open_model_folder(str(folder)).digest
    assert open_model_folder(str(folder)).digest == before
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))

    assert open_model_folder(str(folder)).digest != before


def test_a_text_longer_than_the_model_is_cut(small_model: Callable[[str], Path]) -> None:
    encoder = TransformerEncoder.from_config(EncoderConfig(kind="transformers", model=str(small_model("mean"))))

    long, longer = encoder.encode(["tea " * 30, "tea " * 3000])

    np.testing.assert_allclose(long, longer, atol=1e-6)


def test_int8_is_refused_with_what_to_do(small_model: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match="onnx") as refused:
        TransformerEncoder.from_config(EncoderConfig(kind="transformers", precision="int8"))
    assert refused.value.setting == "encoder.precision"
