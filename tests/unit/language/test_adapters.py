"""Adapters train a few parameters, become a plain model where they can, and share one model among threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    XLMRobertaConfig,
)

from aisle.errors import ConfigError, CorruptError
from aisle.language.adapt_config import ContrastConfig
from aisle.language.adapter_config import AdapterConfig, Method
from aisle.language.adapter_folder import read_adapter, write_adapter
from aisle.language.adapter_set import AdapterSet
from aisle.language.adapters import adapted, merged, n_trainable
from aisle.language.contrast import Contrast
from aisle.language.contrast_pairs import TextPairs
from aisle.language.model_folder import packaged_folder
from aisle.language.prefix import PrefixModel
from aisle.language.rank_budget import RankBudget
from aisle.language.tower import TextTower
from aisle.storage.checksums import write_checksums
from aisle.training.config import TrainingConfig
from aisle.training.loop import Objective, train

METHODS: tuple[Method, ...] = ("full", "lora", "adalora", "prefix", "bottleneck")
ADAPTERS = METHODS[1:]
QUERIES = ["kettle", "boots", "lamp", "drill"]
TITLES = ["steel kettle", "rain boots", "desk lamp", "cordless drill"]
PAIRS = TextPairs(QUERIES, TITLES, left=np.arange(4), right=np.arange(4))
STEPS = 60
RATES: dict[Method, float] = {"full": 0.01, "lora": 0.01, "adalora": 0.02, "prefix": 0.2, "bottleneck": 0.01}
IDS = torch.tensor([[101, 2000, 3000, 4000, 102], [101, 2001, 102, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)


def shape(kind: str, n_layers: int = 2) -> PreTrainedConfig:
    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": n_layers, "intermediate_size": 32}
    sizes["initializer_range"] = 0.25  # as wide as a trained one's: at the default attention says next to nothing
    marks: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if kind == "gpt2":
        return GPT2Config(
            vocab_size=5000, n_embd=16, n_layer=n_layers, n_head=2, n_positions=24, initializer_range=0.25, **marks
        )
    if kind == "llama":
        return LlamaConfig(vocab_size=5000, num_attention_heads=4, num_key_value_heads=2, **sizes, **marks)
    if kind == "roberta":
        sizes |= {"vocab_size": 5000, "max_position_embeddings": 24}
        return XLMRobertaConfig(num_attention_heads=2, bos_token_id=0, eos_token_id=2, pad_token_id=1, **sizes)
    return BertConfig(vocab_size=30522, max_position_embeddings=24, num_attention_heads=2, **sizes)


def plain(kind: str = "bert") -> Any:
    torch.manual_seed(0)
    return AutoModel.from_config(shape(kind)).eval()


def vectors(model: nn.Module, ids: torch.Tensor = IDS, mask: torch.Tensor = MASK) -> torch.Tensor:
    with torch.inference_mode():
        return TextTower(model, "mean").eval()(ids, mask)


def settings(method: Method, **more: Any) -> AdapterConfig:
    return AdapterConfig(method=method, rank=2, prefix_length=4, bottleneck_width=4, **more)


def taught(model: Any, config: AdapterConfig, tokenizer: Any, work: Path, **more: Any) -> nn.Module:
    ready = adapted(model, config, STEPS)
    tower = TextTower(ready, "mean")
    more = {"learning_rate": RATES[config.method], **more}
    if config.method == "bottleneck":  # begins with next to nothing in it, and is slow to start
        more["epochs"] = 150
    train(tower, objective_for(config.method, tower, tokenizer), training(**more), work)
    return ready


def objective_for(method: Method, tower: nn.Module, tokenizer: Any) -> Objective:
    contrast = Contrast("c", PAIRS, tokenizer, ContrastConfig())
    return RankBudget(contrast, tower) if method == "adalora" else contrast


def training(**more: Any) -> TrainingConfig:
    default: dict[str, Any] = {"schedule": "constant", "warmup_share": 0.0}
    default |= {"epochs": STEPS, "batch_size": 4, "trackers": (), "checkpoint_every": 0}
    return TrainingConfig(**{**default, **more})


@pytest.fixture(scope="module")
def trained(tokenizer, tmp_path_factory: pytest.TempPathFactory) -> dict[Method, nn.Module]:
    return {name: taught(plain(), settings(name), tokenizer, tmp_path_factory.mktemp("t")) for name in METHODS}


@pytest.mark.parametrize("method", ADAPTERS)
def test_training_changes_the_vectors_and_nothing_of_the_model(trained, method: Method) -> None:
    before, after = dict(plain().named_parameters()), dict(trained[method].named_parameters())

    assert (vectors(trained[method]) - vectors(plain())).abs().max() > 1e-2
    frozen = [name for name, parameter in after.items() if not parameter.requires_grad and "ranknum" not in name]
    assert len(frozen) == len(before)
    found = sorted(after[name].detach().sum().item() for name in frozen)
    assert found == sorted(parameter.detach().sum().item() for parameter in before.values())


@pytest.mark.parametrize("method", METHODS)
def test_training_lowers_the_loss(tokenizer, trained, method: Method) -> None:
    def loss(model: nn.Module) -> float:
        contrast = Contrast("c", PAIRS, tokenizer, ContrastConfig())
        with torch.no_grad():
            tower = TextTower(model, "mean").eval()
            return contrast.loss(tower, contrast.collate(np.arange(4), np.random.default_rng(0))).item()

    untrained = adapted(plain(), settings(method), STEPS)  # a prefix changes the loss before it has learned anything
    assert loss(trained[method]) < 0.6 * loss(untrained)


# Trained are, in two layers of width 16 with an inner width of 32:
#   lora        4 matrices of 16 x 16 (rank 2: 2 x 32 numbers) and 2 of 16 x 32 (2 x 48)
#   bottleneck  2 networks of 16 x 4 and 4 x 16, with biases of 4 and 16
#   prefix      keys and values, 4 vectors of 16
COUNTS = {"lora": 2 * (4 * 2 * 32 + 2 * 2 * 48), "bottleneck": 2 * 2 * (64 + 64 + 20), "prefix": 2 * 2 * 4 * 16}


@pytest.mark.parametrize("method", list(COUNTS))
def test_the_count_of_trained_parameters(method: Method) -> None:
    assert n_trainable(adapted(plain(), settings(method), 1)) == COUNTS[method]


def test_full_trains_every_weight() -> None:
    model = plain().requires_grad_(False)

    assert n_trainable(model) == 0
    assert n_trainable(adapted(model, settings("full"), 1)) == sum(one.numel() for one in plain().parameters())


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "llama"])
@pytest.mark.parametrize("method", ADAPTERS)
def test_every_style_of_model_takes_every_adapter(kind: str, method: Method) -> None:
    ids = IDS if kind == "bert" else IDS % 4990 + 5
    ready = TextTower(adapted(plain(kind), settings(method), 10), "mean").eval()

    ready(ids, MASK).sum().backward()

    trainable = {name: one for name, one in ready.named_parameters() if one.requires_grad}
    assert trainable
    assert [name for name, one in trainable.items() if one.grad is None] == []
    alone = vectors(ready.model, ids[1:, :3], MASK[1:, :3])  # padding has no say
    torch.testing.assert_close(vectors(ready.model, ids, MASK)[1:], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "llama"])
def test_an_untrained_prefix_is_what_words_before_the_text_would_be(kind: str) -> None:
    """In one layer words do not hear of the text behind them, so that both ways must agree to the last digits."""
    model: Any = AutoModel.from_config(shape(kind, n_layers=1)).eval()
    first = 2 if kind == "roberta" else 0  # behind the padding token's number
    text = torch.arange(first, first + 6)
    positions = torch.cat([torch.arange(first, first + 4), text + 4 if kind == "llama" else text])
    ids = torch.randint(5, 4990, (1, 6), generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    words = torch.randint(model.config.vocab_size, (1, 4))
    with torch.inference_mode():
        together = model(input_ids=torch.cat([words, ids], dim=1), position_ids=positions.unsqueeze(0))
    torch.manual_seed(0)
    ready = PrefixModel(model, 4).eval()

    with torch.inference_mode():
        found = ready(ids, torch.ones_like(ids)).last_hidden_state

    torch.testing.assert_close(found, together.last_hidden_state[:, 4:], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "longest"), [("bert", 24), ("roberta", 22), ("gpt2", 24)])
def test_the_longest_text_still_fits_behind_a_prefix(kind: str, longest: int) -> None:
    ids = torch.randint(5, 4990, (1, longest), generator=torch.Generator().manual_seed(0))

    assert vectors(adapted(plain(kind), settings("prefix"), 1), ids, torch.ones_like(ids)).isfinite().all()


@pytest.mark.parametrize("method", ["lora", "adalora"])
@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_merged_is_a_plain_model_with_the_same_vectors(tokenizer, kind: str, method: Method, tmp_path: Path) -> None:
    ready = adapted(plain(kind), settings(method), STEPS)
    with torch.no_grad():
        for parameter in ready.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    ids = IDS % 4990 + 5
    wanted = vectors(ready, ids)

    one = merged(ready)
    one.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path, local_files_only=True, use_safetensors=True)

    assert (wanted - vectors(plain(kind), ids)).abs().max() > 1e-2
    torch.testing.assert_close(vectors(one, ids), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(vectors(again, ids), wanted, rtol=0, atol=1e-5)
    assert type(one) is type(plain(kind))
    assert set(one.state_dict()) == set(plain(kind).state_dict())
    assert torch.equal(vectors(ready, ids), wanted)  # the adapter is as it was


@pytest.mark.parametrize("method", ["prefix", "bottleneck"])
def test_what_cannot_be_merged_says_what_can(method: Method) -> None:
    with pytest.raises(ConfigError, match='"lora" and "adalora"') as refused:
        merged(adapted(plain(), settings(method), 1))
    assert method in str(refused.value)


def test_full_needs_no_merging(trained) -> None:
    assert merged(trained["full"]) is trained["full"]


@pytest.mark.parametrize("method", METHODS)
def test_an_adapter_is_read_as_it_was_written(trained, method: Method, tmp_path: Path) -> None:
    write_adapter(trained[method], settings(method), tmp_path)

    again = read_adapter(plain(), tmp_path)

    assert torch.equal(vectors(again), vectors(trained[method]))
    assert n_trainable(again) == 0
    kinds = {path.suffix for path in tmp_path.iterdir()}
    assert kinds == {".json", ".safetensors"}


def test_an_adapter_of_another_model_is_refused(trained, tmp_path: Path) -> None:
    write_adapter(trained["bottleneck"], settings("bottleneck"), tmp_path)
    torch.manual_seed(1)

    with pytest.raises(ConfigError, match="another model"):
        read_adapter(AutoModel.from_config(shape("bert")), tmp_path)


def test_a_damaged_adapter_and_no_adapter_are_told_apart(trained, tmp_path: Path) -> None:
    write_adapter(trained["lora"], settings("lora"), tmp_path / "a")
    file = tmp_path / "a" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")

    with pytest.raises(CorruptError, match="damaged"):
        read_adapter(plain(), tmp_path / "a")
    with pytest.raises(ConfigError, match="no adapter"):
        read_adapter(plain(), tmp_path)


def test_only_safetensors_are_read(trained, tmp_path: Path) -> None:
    write_adapter(trained["lora"], settings("lora"), tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    torch.save(weights, tmp_path / "adapter_model.bin")
    (tmp_path / "adapter_model.safetensors").unlink()
    write_checksums(tmp_path, ["adapter.json", "adapter_config.json", "adapter_model.bin"])

    with pytest.raises(CorruptError, match="safetensors is missing"):
        read_adapter(plain(), tmp_path)


def test_an_unknown_kind_of_model_and_a_second_adapter_are_refused() -> None:
    small = DistilBertConfig(vocab_size=50, dim=16, n_layers=1, n_heads=2, hidden_dim=32)
    with pytest.raises(ConfigError, match="q_proj"):
        adapted(AutoModel.from_config(small), settings("lora"), 1)
    with pytest.raises(ConfigError, match="already"):
        adapted(adapted(plain(), settings("lora"), 1), settings("prefix"), 1)


def test_adalora_ends_with_the_mean_rank_asked_for(trained) -> None:
    values = [one for name, one in trained["adalora"].named_parameters() if "lora_E" in name]
    ranks = [int((one != 0).sum()) for one in values]

    assert sum(ranks) == 2 * len(values)  # rank 2 on average
    assert all(len(one) == 3 for one in values)  # began with 3
    assert len(set(ranks)) > 1  # and moved to where it helps


@pytest.mark.parametrize("n_done", [10, 50])  # before and after the last cut
def test_a_resumed_adalora_run_is_exact(tokenizer, trained, n_done: int, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    class Killing(RankBudget):
        def after_step(self, model: nn.Module, step: int) -> None:
            super().after_step(model, step)
            if step == n_done + 1:
                raise Killed

    config, often = settings("adalora"), training(learning_rate=RATES["adalora"], checkpoint_every=1)
    first = TextTower(adapted(plain(), config, STEPS), "mean")
    with pytest.raises(Killed):
        train(first, Killing(Contrast("c", PAIRS, tokenizer, ContrastConfig()), first), often, tmp_path)

    resumed = taught(plain(), config, tokenizer, tmp_path, checkpoint_every=1)

    assert torch.equal(vectors(resumed), vectors(trained["adalora"]))


def test_a_rank_budget_needs_adalora(tokenizer) -> None:
    with pytest.raises(ConfigError, match="AdaLoRA"):
        RankBudget(Contrast("c", PAIRS, tokenizer, ContrastConfig()), TextTower(plain(), "mean"))


@pytest.fixture(scope="module")
def folders(trained, tmp_path_factory: pytest.TempPathFactory) -> dict[Method, Path]:
    root = tmp_path_factory.mktemp("adapters")
    for method in METHODS:
        write_adapter(trained[method], settings(method), root / method)
    return {method: root / method for method in METHODS}


def answers(ask: Callable[[str | None], TextTower], name: str | None, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return ask(name)(ids, torch.ones_like(ids))


def test_threads_never_mix_adapters(folders) -> None:
    adapters = AdapterSet(plain(), "mean")
    for method in ADAPTERS:
        adapters.add(method, folders[method])
    texts = torch.randint(5, 4990, (5, 2, 9), generator=torch.Generator().manual_seed(0))
    names: list[str | None] = [*ADAPTERS, None]
    alone: dict[str | None, nn.Module] = {name: read_adapter(plain(), folders[name]) for name in ADAPTERS}
    alone[None] = plain()
    wanted = {
        (name, row): vectors(alone[name], text, torch.ones_like(text))
        for name, (row, text) in itertools.product(names, enumerate(texts))
    }
    assert len({tuple(one.flatten().tolist()) for one in wanted.values()}) == len(wanted)
    wrong: list[Any] = []
    n_asked = itertools.count()
    together = threading.Barrier(8)

    def visitor(seed: int) -> None:
        rng = np.random.default_rng(seed)
        together.wait()
        for _ in range(60):
            name, row = names[int(rng.integers(len(names)))], int(rng.integers(len(texts)))
            try:
                if not torch.equal(answers(adapters.tower, name, texts[row]), wanted[name, row]):
                    wrong.append((name, row))
            except Exception as error:  # reported by the assertion below
                wrong.append(error)
            next(n_asked)

    threads = [threading.Thread(target=visitor, args=(seed,)) for seed in range(7)]
    for thread in threads:
        thread.start()
    together.wait()
    for turn in range(10):  # others come and go meanwhile
        adapters.add("other", folders[ADAPTERS[turn % len(ADAPTERS)]])
        adapters.remove("other")
    for thread in threads:
        thread.join()

    assert wrong == []
    assert next(n_asked) == 7 * 60


def test_adapters_share_the_tensors_of_one_model(folders) -> None:
    model = plain()
    tensors = {one.data_ptr() for one in model.parameters()}
    adapters = AdapterSet(model, "mean")
    for method in ADAPTERS:
        adapters.add(method, folders[method])

    assert adapters.names == tuple(sorted(ADAPTERS))
    for method in ADAPTERS:
        own = [one for one in adapters.tower(method).parameters() if one.data_ptr() not in tensors]
        shared = {one.data_ptr() for one in adapters.tower(method).parameters()} & tensors
        assert shared == tensors
        assert 0 < sum(one.numel() for one in own) < 0.1 * sum(one.numel() for one in model.parameters())
    assert torch.equal(vectors(model), vectors(plain()))


def test_a_set_refuses_what_it_does_not_have_and_what_cannot_share(folders) -> None:
    adapters = AdapterSet(plain(), "mean")
    adapters.add("french", folders["lora"])

    with pytest.raises(ConfigError, match="Did you mean 'french'"):
        adapters.tower("frensh")
    with pytest.raises(ConfigError, match="cannot share"):
        adapters.add("all", folders["full"])
    adapters.remove("french")
    with pytest.raises(ConfigError, match="unknown adapter"):
        adapters.remove("french")
