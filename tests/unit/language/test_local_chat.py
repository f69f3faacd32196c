"""A causal model of three words' worth, taught four conversations by heart in the test itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from aisle.domain import Message
from aisle.errors import ConfigError, DataError
from aisle.language import open_chat_model
from aisle.language.local_chat import LocalChat
from aisle.language.model_folder import open_model_folder, packaged_folder
from aisle.settings import ChatConfig

WORDS = ("[PAD]", "[UNK]", "<end>", "<system>", "<user>", "<assistant>", "kettle", "tea", "pot", "red", "mug", "brief")
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LEARNED = {
    "kettle": "tea pot",
    "red kettle": "red pot",
    "red red red mug": "mug",
    "tea": "kettle mug red",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learns ``LEARNED`` in the form that its chat template gives it."""
    where = tmp_path_factory.mktemp("models") / "parrot"
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", eos_token="<end>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(WORDS), n_embd=32, n_layer=1, n_head=2, n_positions=24, eos_token_id=2, bos_token_id=2,
        pad_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    rows = [tokenizer(f"<user> {asked} <assistant> {said} <end>")["input_ids"] for asked, said in LEARNED.items()]
    length = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        model(
            input_ids=tokens, attention_mask=tokens != 0, labels=tokens.masked_fill(tokens == 0, -100)
        ).loss.backward()
        optimizer.step()
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


def chat(folder: Path, **changed: object) -> LocalChat:
    given = {"kind": "transformers", "model": str(folder), "temperature": 0.0, "max_tokens": 8}
    opened = open_chat_model(ChatConfig.parse({**given, **changed}, "chat"), "this test")
    assert isinstance(opened, LocalChat)
    return opened


def test_it_says_what_it_learned_alone_and_beside_longer_conversations(folder: Path) -> None:
    model = chat(folder, n_at_once=3)
    talks = [[Message("user", asked)] for asked in LEARNED]
    heard: list[tuple[int, int | None]] = []

    together = model.reply(talks, progress=lambda _, done, total=None: heard.append((done, total)))

    assert together == list(LEARNED.values())
    assert [model.reply([talk])[0] for talk in talks] == together
    assert heard == [(3, 4), (4, 4)]
    assert model.reply([]) == []


def test_answers_are_no_longer_than_they_may_be(folder: Path) -> None:
    assert chat(folder, max_tokens=2).reply([[Message("user", "tea")]]) == ["kettle mug"]


def test_a_conversation_without_room_for_an_answer_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="reads 24 with its answer"):
        chat(folder).reply([[Message("user", "red " * 24)]])


def test_chance_is_left_as_much_as_the_settings_say(folder: Path) -> None:
    torch.manual_seed(0)
    asked = [[Message("user", "mug pot")]] * 20
    assert len(set(chat(folder, temperature=0.0, n_at_once=20).reply(asked))) == 1
    assert len(set(chat(folder, temperature=2.0, n_at_once=20).reply(asked))) > 5


def test_without_a_template_speakers_stand_before_what_they_say(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in folder.iterdir():
        if file.name != "chat_template.jinja":
            (bare / file.name).write_bytes(file.read_bytes())
    model = chat(bare)

    written = model._token_ids([Message("system", "brief"), Message("user", "tea")])

    unknown = WORDS.index("[UNK]")  # "system:", "user:" and "assistant:" are no words of its vocabulary
    assert written == [unknown, WORDS.index("brief"), unknown, WORDS.index("tea"), unknown]
    assert model.fingerprint == chat(folder).fingerprint


def test_what_is_no_causal_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no causal model"):
        chat(packaged_folder())
    with pytest.raises(ConfigError, match=r"chat\.model = '/nowhere/model' is not a folder"):
        chat(Path("/nowhere/model"))
    assert not open_model_folder(None).is_decoder
