"""Models that read from left to right: the last token stands for the text, in torch and in ONNX alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
)

from aisle.errors import ConfigError
from aisle.language.adapt_config import AdaptConfig
from aisle.language.adapting import adapt
from aisle.language.batches import token_ids_by
from aisle.language.contrast_pairs import TextPairs
from aisle.language.masking import NextTokens
from aisle.language.model_folder import open_model_folder
from aisle.language.new_model import NewModelConfig, new_model
from aisle.language.onnx import OnnxEncoder
from aisle.language.pooling import pooled
from aisle.language.tower import open_tower, place, save_tower
from aisle.language.transformer import TransformerEncoder
from aisle.settings import EncoderConfig
from tests.unit.language.made_up import english

TEXTS = ["red tea", "a kettle for the kitchen, of steel", "雨伞", "", "tea " * 300, "broken \ud800 character", "x"]


def _write_tokenizer(folder: Path) -> None:
    """Bytes only, and no marks and no padding, as GPT-2 has none."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)


def _gpt2(folder: Path) -> None:
    GPT2Model(GPT2Config(vocab_size=256, n_embd=16, n_layer=2, n_head=2, n_positions=48)).save_pretrained(folder)


def _llama(folder: Path) -> None:
    config = LlamaConfig(
        vocab_size=256, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(folder)


@pytest.fixture(params=[_gpt2, _llama], ids=["gpt2", "llama"])
def decoder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AISLE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    torch.manual_seed(0)
    request.param(folder)
    _write_tokenizer(folder)
    return folder


def test_a_decoder_without_a_word_on_pooling_takes_the_last_token(decoder: Path) -> None:
    folder = open_model_folder(str(decoder))

    assert (folder.pooling, folder.is_decoder) == ("last", True)
    assert folder.max_tokens in (48, 64)
    packaged = open_model_folder(None)
    assert (packaged.pooling, packaged.is_decoder) == ("mean", False)


@pytest.mark.parametrize("said", [{"pooling_mode_lasttoken": True}, {"pooling_mode": "lasttoken"}])
def test_the_pooling_that_the_folder_names_is_taken(decoder: Path, said: dict[str, object]) -> None:
    (decoder / "1_Pooling").mkdir()
    named = decoder / "1_Pooling" / "config.json"
    named.write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    assert open_model_folder(str(decoder)).pooling == "mean"
    named.write_text(json.dumps({"pooling_mode_mean_tokens": False, **said}))
    assert open_model_folder(str(decoder)).pooling == "last"
    named.write_text(json.dumps({"pooling_mode_weightedmean_tokens": True}))
    with pytest.raises(ConfigError, match="lasttoken"):
        open_model_folder(str(decoder))


def test_torch_onnx_and_the_tower_give_the_vectors_of_single_texts(decoder: Path) -> None:
    folder = open_model_folder(str(decoder))
    tower, tokenizer = open_tower(folder)
    expected = []
    for text in TEXTS:
        ids = tokenizer([text.encode("utf-8", "replace").decode()])["input_ids"][0][: folder.max_tokens] or [0]
        with torch.inference_mode():
            vector = tower.model.eval()(input_ids=torch.tensor([ids])).last_hidden_state[0, -1].numpy()
        expected.append(vector / np.linalg.norm(vector))

    by_torch = TransformerEncoder.from_config(EncoderConfig(kind="transformers", model=str(decoder)))
    by_onnx = OnnxEncoder.from_config(EncoderConfig(model=str(decoder), batch_size=3))

    np.testing.assert_allclose(by_torch.encode(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(by_onnx.encode(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(place(tower, tokenizer, TEXTS, folder.max_tokens), expected, atol=1e-5)
    assert abs(np.array(expected)[0] @ np.array(expected)[1]) < 0.999


def test_int8_stays_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # of GPT-2 alone, whose matrices come with their bias in one operation
    monkeypatch.setenv("AISLE_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "model"
    torch.manual_seed(0)
    _gpt2(model)
    _write_tokenizer(model)
    exact = TransformerEncoder.from_config(EncoderConfig(kind="transformers", model=str(model))).encode(TEXTS)

    quick = OnnxEncoder.from_config(EncoderConfig(model=str(model), precision="int8")).encode(TEXTS)

    assert (exact * quick).sum(axis=1).min() > 0.98
    assert np.abs(exact - quick).max() > 1e-4  # as exact as fp32 would mean that nothing was made int8


def test_a_saved_tower_opens_as_what_it_was(decoder: Path, tmp_path: Path) -> None:
    folder = open_model_folder(str(decoder))
    tower, tokenizer = open_tower(folder)
    with torch.no_grad():
        next(tower.parameters()).mul_(1.5)
    target = tmp_path / "saved"
    target.mkdir()

    save_tower(tower, folder, target)

    again, its_tokenizer = open_tower(open_model_folder(str(target)))
    np.testing.assert_allclose(
        place(again.eval(), its_tokenizer, TEXTS, 16), place(tower.eval(), tokenizer, TEXTS, 16), atol=1e-6
    )
    assert open_model_folder(str(target)).pooling == "last"


def test_the_last_token_is_found_on_either_side_of_padding() -> None:
    hidden = torch.arange(24, dtype=torch.float32).reshape(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]])

    vectors = pooled(hidden, mask, "last")

    wanted = torch.stack([hidden[0, 1], hidden[1, 3]])
    torch.testing.assert_close(vectors, wanted / wanted.norm(dim=1, keepdim=True))


def test_a_shops_texts_teach_a_decoder_what_comes_next(tmp_path: Path) -> None:
    texts = english(300)
    folder = new_model(texts, NewModelConfig(family="decoder", size="tiny", layers=1, vocabulary=400), tmp_path / "new")
    names = list(dict.fromkeys(texts))
    pairs = TextPairs(names, names, *(np.arange(len(names)) for _ in range(2)))
    target = tmp_path / "adapted"
    target.mkdir()
    config = AdaptConfig(
        objectives=("masked",), least_pairs=10,
        training={"trackers": [], "learning_rate": 5e-3, "max_steps": 60, "epochs": 60},
    )  # fmt: skip

    compared = adapt(folder, pairs, pairs, texts, config, work=tmp_path / "work", target=target)

    assert len(compared.after.ndcg) == len(names)
    adapted = open_model_folder(str(target))
    assert (adapted.pooling, adapted.is_decoder) == ("last", True)
    before, after = (_loss(one.path, texts[:50]) for one in (folder, adapted))
    assert after < 0.6 * before


def _loss(folder: Path, texts: list[str]) -> float:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    objective = NextTokens("n", token_ids_by(tokenizer, texts, 64), padding=0)
    with torch.inference_mode():
        return float(objective.loss(model.eval(), objective.collate(np.arange(len(texts)), np.random.default_rng(0))))
