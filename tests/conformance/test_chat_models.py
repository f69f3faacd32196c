"""Every registered chat model keeps the promises of its contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from aisle import registry
from aisle.errors import ContractError
from aisle.language.new_model import NewModelConfig, new_model
from aisle.settings import ChatConfig
from aisle.testing.conformance import check_chat_model
from tests.unit.language.chat_server import chat_server
from tests.unit.language.made_up import chinese, english


@pytest.fixture(scope="module")
def speechless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model with random weights: it says nothing of sense, as promised."""
    folder = tmp_path_factory.mktemp("models") / "decoder"
    new_model([*english(40), *chinese(40)], NewModelConfig(family="decoder", size="tiny"), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = GPT2Config.from_pretrained(folder)
    config.n_positions = 256
    GPT2LMHeadModel(config).save_pretrained(folder)
    assert tokenizer.chat_template is None
    return folder


@pytest.mark.parametrize("kind", registry.registered("aisle.chat_models"))
def test_a_registered_chat_model_keeps_its_promises(kind: str, speechless: Path) -> None:
    implementation = registry.find("aisle.chat_models", kind)
    with chat_server() as server:
        model = str(speechless) if kind == "transformers" else "served"
        check_chat_model(
            implementation.from_config(ChatConfig(kind=kind, model=model, address=server.address, max_tokens=4))
        )


def test_there_is_one_to_check() -> None:
    assert {"openai", "transformers"} <= set(registry.registered("aisle.chat_models"))


def test_the_kit_notices_an_answer_too_few() -> None:
    class Forgetful:
        fingerprint = "forgetful"

        def reply(self, talks, *, progress=None):
            return ["well"] * (len(talks) - 1)

    with pytest.raises(ContractError, match="one text for each conversation"):
        check_chat_model(Forgetful())
