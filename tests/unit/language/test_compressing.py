"""Smaller models: what is taken out, what is learned back, what it costs and gains."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel, DistilBertConfig, DistilBertModel, GPT2Config, GPT2Model

from aisle.errors import ConfigError, NotReadyError
from aisle.language.compress_config import CompressConfig
from aisle.language.compressing import Compressed, Step, compress, work_of
from aisle.language.contrast_pairs import TextPairs
from aisle.language.distilling import Distillation, with_pieces
from aisle.language.model_folder import open_model_folder, packaged_folder
from aisle.language.onnx import OnnxEncoder
from aisle.language.onnx_cache import exported
from aisle.language.retrieval_check import Found, agreement, find, near_enough
from aisle.language.shrinking import with_fewer_heads, with_fewer_layers, with_narrower_middles, without_zero_heads
from aisle.language.tower import TextTower, open_tower, place

WORDS = ["steel", "red", "kettle", "lamp", "boots", "garden", "hose", "cordless", "drill", "tea", "pot", "desk"]


def texts(n: int = 120) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, size=4)) for _ in range(n)]


def bert(layers: int = 4) -> BertModel:
    torch.manual_seed(0)
    return BertModel(
        BertConfig(
            vocab_size=30_522, hidden_size=32, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=64
        )
    ).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("models") / "four-layers"
    shutil.copytree(packaged_folder(), where, ignore=shutil.ignore_patterns("*.safetensors"))
    bert().save_pretrained(where)
    return where


def tokens() -> dict[str, torch.Tensor]:
    return {"input_ids": torch.randint(1_000, 5_000, (3, 7)), "attention_mask": torch.ones(3, 7, dtype=torch.int64)}


def test_layers_are_taken_at_even_distances_and_the_last_stays() -> None:
    model = bert(6)

    smaller = with_fewer_layers(model, 3)

    assert smaller.config.num_hidden_layers == 3
    for kept, layer in zip((1, 3, 5), smaller.encoder.layer, strict=True):
        original = model.encoder.layer[kept].attention.self.query.weight
        assert torch.equal(layer.attention.self.query.weight, original)
    assert len(model.encoder.layer) == 6
    assert torch.equal(with_fewer_layers(model, 6)(**(same := tokens()))[0], model(**same)[0])


def test_a_decoder_loses_layers_too() -> None:
    model = GPT2Model(GPT2Config(vocab_size=100, n_embd=16, n_layer=4, n_head=2, n_positions=16))

    smaller = with_fewer_layers(model, 2)

    assert len(smaller.h) == 2
    ids = {"input_ids": torch.randint(0, 100, (2, 5))}
    assert smaller(**ids).last_hidden_state.shape == (2, 5, 16)


def test_neurons_that_do_nothing_go_first_and_nothing_changes() -> None:
    model = bert(2)
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.output.dense.weight[:, ::2] = 0.0  # every other neuron leads nowhere

    smaller = with_narrower_middles(model, 0.5, [tokens()])

    assert smaller.config.intermediate_size == 32
    same = tokens()
    torch.testing.assert_close(smaller(**same)[0], model(**same)[0], atol=1e-5, rtol=0)


def test_a_narrower_model_is_read_back(tmp_path: Path) -> None:
    smaller = with_narrower_middles(with_fewer_layers(bert(), 2), 0.25, [tokens()])

    smaller.save_pretrained(tmp_path)
    again = BertModel.from_pretrained(tmp_path).eval()

    same = tokens()
    torch.testing.assert_close(again(**same)[0], smaller.eval()(**same)[0], atol=1e-6, rtol=0)


def heads_of(model) -> list[int]:
    return [layer.attention.self.num_attention_heads for layer in model.encoder.layer]


def test_heads_that_do_nothing_go_first_and_nothing_changes() -> None:
    model = bert(2)
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.attention.output.dense.weight[:, 16:] = 0.0  # the second of two heads leads nowhere

    smaller = with_fewer_heads(model, 0.5, [tokens()])

    same = tokens()
    torch.testing.assert_close(smaller(**same)[0], model(**same)[0], atol=1e-5, rtol=0)
    assert not smaller.encoder.layer[0].attention.self.value.weight[16:].any()
    assert model.encoder.layer[0].attention.self.value.weight[16:].any()


def test_heads_that_went_stay_away_in_training_and_are_left_out_of_what_is_exported(tmp_path: Path) -> None:
    smaller = with_fewer_heads(bert(2), 0.5, [tokens()]).train()
    optimiser = torch.optim.AdamW(smaller.parameters(), lr=1e-2)
    for _ in range(3):
        smaller(**tokens())[0].square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    smaller.save_pretrained(tmp_path)
    again = BertModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    same = tokens()
    wanted = again(**same)[0]
    assert heads_of(again) == [2, 2]

    thin = without_zero_heads(again)

    assert heads_of(thin) == [1, 1]
    assert thin.encoder.layer[1].attention.self.query.weight.shape == (16, 32)
    torch.testing.assert_close(thin(**same)[0], wanted, atol=1e-5, rtol=0)


def test_models_whose_heads_all_work_are_exported_as_they_are() -> None:
    whole = bert(2)
    other = DistilBertModel(DistilBertConfig(vocab_size=100, dim=16, hidden_dim=32, n_layers=2, n_heads=2))

    assert heads_of(without_zero_heads(whole)) == [2, 2]
    assert without_zero_heads(other) is other


def test_a_model_without_some_heads_is_served_by_onnx(folder: Path, tmp_path: Path) -> None:
    where = tmp_path / "thin"
    shutil.copytree(folder, where, ignore=shutil.ignore_patterns("*.safetensors"))
    with_fewer_heads(bert(), 0.5, [tokens()]).save_pretrained(where)
    thin = open_model_folder(str(where))
    some = texts(20)

    served = {
        name: OnnxEncoder(
            exported(one, "fp32", name, lambda *_: None, under=tmp_path / "onnx", has_torch=True),
            name,
            precision="fp32",
            batch_size=8,
            n_threads=1,
        )
        for name, one in (("whole", open_model_folder(str(folder))), ("thin", thin))
    }

    tower, tokenizer = open_tower(thin)
    np.testing.assert_allclose(served["thin"].encode(some), place(tower.eval(), tokenizer, some, 64), atol=1e-5)
    assert served["thin"].megabytes < served["whole"].megabytes


def test_int8_keeps_word_vectors_in_16_bits_and_the_vectors_of_texts(folder: Path, tmp_path: Path) -> None:
    model, some = open_model_folder(str(folder)), texts(20)

    def served(precision) -> OnnxEncoder:
        where = exported(model, precision, precision, lambda *_: None, under=tmp_path, has_torch=True)
        return OnnxEncoder(where, precision, precision=precision, batch_size=8, n_threads=1)

    exact, rounded = served("fp32"), served("int8")

    graph = onnx.load(tmp_path / "int8" / "model.onnx").graph
    tables = [one for one in graph.initializer if list(one.dims) == [30_522, 32]]
    assert [one.data_type for one in tables] == [onnx.TensorProto.FLOAT16]
    assert rounded.megabytes < 0.6 * exact.megabytes
    assert (exact.encode(some) * rounded.encode(some)).sum(axis=1).min() > 0.98


def test_what_cannot_be_taken_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="the model has 4"):
        with_fewer_layers(bert(), 5)
    gpt = GPT2Model(GPT2Config(vocab_size=100, n_embd=16, n_layer=2, n_head=2, n_positions=16))
    with pytest.raises(ConfigError, match="neurons: layers of GPT2Model are not built as BERT"):
        with_narrower_middles(gpt, 0.5, [])
    with pytest.raises(ConfigError, match="heads: layers of GPT2Model are not built as BERT"):
        with_fewer_heads(gpt, 0.5, [])


def test_the_loss_of_distillation_is_zero_for_the_teacher_and_not_for_others() -> None:
    tokenizer = AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)
    tower = TextTower(bert(), "mean").eval()
    some = texts(10)
    taught = place(tower, tokenizer, some, 16)
    objective = Distillation("learn", some, taught, tokenizer, 16, n_ranked=8)
    batch = objective.collate(np.arange(10), np.random.default_rng(0))

    other = TextTower(with_fewer_layers(tower.model, 1), "mean").eval()
    assert objective.loss(tower, batch).item() == pytest.approx(0.0, abs=1e-5)
    assert objective.loss(other, batch).item() > 1e-4
    assert batch["ranked"].shape == (8, 32)
    assert batch["is_itself"].sum() == 8  # each of the ranked is one of the batch
    same = objective.collate(np.arange(10), np.random.default_rng(0))
    assert torch.equal(same["ranked"], batch["ranked"])


def test_the_loss_of_distillation_by_hand() -> None:
    tokenizer = AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)
    taught = np.eye(3, 4, dtype=np.float32)
    objective = Distillation("learn", ["a", "b", "c"], taught, tokenizer, 8, scale=2.0, n_ranked=3)
    batch = objective.collate(np.array([0]), np.random.default_rng(0))
    batch["ranked"], batch["is_itself"] = torch.from_numpy(taught), torch.tensor([[True, False, False]])
    learned = torch.tensor([[0.6, 0.8, 0.0, 0.0]])

    class Fixed(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return learned

    # the teacher ranks b and c alike: 1/2 each; the student by 2 x 0.8 and 0
    student = np.exp(1.6) / (np.exp(1.6) + 1.0)
    divergence = 0.5 * np.log(0.5 / student) + 0.5 * np.log(0.5 / (1.0 - student))
    assert objective.loss(Fixed(), batch).item() == pytest.approx(1.0 - 0.6 + divergence, abs=1e-5)


def test_pieces_are_words_in_a_row_of_long_texts_only() -> None:
    long, short = "one two three four five six seven", "tea pot"

    found = with_pieces([long, short], 1.0, np.random.default_rng(0))

    assert found[:2] == [long, short]
    assert len(found) == 3
    assert 2 <= len(found[2].split()) <= 5
    assert found[2] in long
    assert with_pieces([long, short], 0.0, np.random.default_rng(0)) == [long, short]


def checked() -> TextPairs:
    return TextPairs(texts()[:40], texts(), np.arange(40), np.arange(40))


def quick(**changed) -> CompressConfig:
    training = {"trackers": [], "max_steps": 120, "epochs": 60, "batch_size": 40, "checkpoint_every": 40}
    return CompressConfig(
        size="tiny", layers=1, pieces=0.0, training={**training, **changed.pop("training", {})}, **changed
    )


def test_a_small_model_learns_the_large_ones_places_and_is_measured(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "small"
    target.mkdir()
    config = quick(neurons=0.5, heads=0.5)

    found = compress(
        open_model_folder(str(folder)), texts(), ["tea pot"], checked(), config, work=tmp_path / "work", target=target
    )

    assert [step.name for step in found.steps] == ["as it is", "1 layers", "50% of neurons, 50% of heads", "int8"]
    first, cut, pruned, rounded = found.steps
    assert first.ndcg == pytest.approx(1.0)
    assert first.agreement == 1.0
    assert first.megabytes > cut.megabytes > pruned.megabytes
    assert found.lost < 0.2
    assert rounded.agreement > 0.5
    large, small = (open_tower(open_model_folder(str(where))) for where in (folder, target))
    apart = (place(large[0].eval(), large[1], texts(), 32) * place(small[0].eval(), small[1], texts(), 32)).sum(axis=1)
    assert apart.mean() > 0.95
    assert small[0].model.config.num_hidden_layers == 1
    assert small[0].model.config.intermediate_size == 32
    told = found.metrics()
    assert {"ndcg@10.int8", "agreement.1 layers", "texts_per_second.as it is", "query_ms.1 layers"} <= set(told)
    assert told["lost_low"] <= told["lost"] <= told["lost_high"]
    assert -1.0 < told["near_enough"] < 1.0


def test_all_layers_and_int8_alone_teach_nothing(folder: Path, tmp_path: Path) -> None:
    (target := tmp_path / "small").mkdir()

    found = compress(
        open_model_folder(str(folder)),
        texts(),
        [],
        checked(),
        quick().model_copy(update={"layers": 4}),
        work=tmp_path / "work",
        target=target,
    )

    assert [step.name for step in found.steps] == ["as it is", "int8"]
    assert (target / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not list((tmp_path / "work").glob("learn-*"))


def test_a_run_that_stopped_goes_on_and_comes_to_the_same(folder: Path, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def killing(task: str, done: int, total: int | None = None) -> None:
        if task.startswith("learn: 1 layers") and done > 50:
            raise Killed

    config = quick(precision="fp32", training={"log_every": 1})
    weights = []
    for name, progress in (("whole", None), ("killed", killing)):
        work, target = tmp_path / name / "work", tmp_path / name / "small"
        target.mkdir(parents=True)
        given = (open_model_folder(str(folder)), texts(), [], checked(), config)
        if progress:
            with pytest.raises(Killed):
                compress(*given, work=work, target=target, progress=progress)
            assert list(work.glob("learn-layers/step-*"))
        compress(*given, work=work, target=target)
        weights.append(open_tower(open_model_folder(str(target)))[0].state_dict())

    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def test_a_run_goes_on_only_with_the_same_model_and_settings(folder: Path) -> None:
    model = open_model_folder(str(folder))
    name = work_of(model, quick())

    assert name == work_of(model, quick(most_lost=0.5, precision="fp32"))
    assert name != work_of(model, quick(neurons=0.5))
    assert name != work_of(open_model_folder(None), quick())


def found_by(ndcg: list[float]) -> Found:
    nothing = np.zeros((len(ndcg), 1), dtype=np.int64)
    return Found(np.array(ndcg), np.array(ndcg), nothing, 0.4)


def test_more_loss_than_allowed_is_not_good_enough() -> None:
    def step(name: str, ndcg: float, speed: float) -> Step:
        return Step(name, 10.0, speed, 1.0, found_by([ndcg, ndcg]), 1.0)

    steps = (step("as it is", 0.5, 100.0), step("int8", 0.485, 350.0))

    assert Compressed(steps, 0.02).lost == pytest.approx(0.03)
    assert not Compressed(steps, 0.02).is_good_enough
    assert Compressed(steps, 0.031).is_good_enough
    assert Compressed(steps, 0.02).metrics()["times_faster"] == pytest.approx(3.5)


def test_agreement_is_the_share_of_the_first_ten_that_both_find() -> None:
    rights = np.eye(20, dtype=np.float32)
    one, other = np.zeros((1, 20), dtype=np.float32), np.zeros((1, 20), dtype=np.float32)
    one[0, :10] = np.linspace(1, 0.5, 10)
    other[0, 7:17] = np.linspace(1, 0.5, 10)
    left = right = np.array([0])

    assert agreement(find(one, rights, left, right), find(other, rights, left, right)) == pytest.approx(0.3)


def test_near_enough_is_what_hardly_any_pair_reaches_by_chance() -> None:
    rng = np.random.default_rng(0)
    rights = rng.normal(size=(500, 64)).astype(np.float32)
    lefts = rights + 0.5 * rng.normal(size=rights.shape).astype(np.float32)
    lefts, rights = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (lefts, rights))
    every = np.arange(500)

    least = near_enough(lefts, rights, every, every)

    cosines = lefts @ rights.T
    by_chance = cosines[~np.eye(500, dtype=bool)]
    assert (by_chance > least).mean() == pytest.approx(0.005, abs=0.002)
    assert (cosines.diagonal() > least).mean() > 0.99
    # where right pairs are as far apart as others, 70% of them must still be near enough
    shuffled = np.roll(every, 1)
    assert (cosines[every, shuffled] > near_enough(lefts, rights, every, shuffled)).mean() == pytest.approx(
        0.7, abs=0.01
    )


def test_half_the_steps_follow_pruning() -> None:
    config = CompressConfig(training={"max_steps": 101, "epochs": 3})

    assert config.training_config(0.5).max_steps == 50
    assert config.training_config(0.5).epochs == 1.5
    assert config.training_config().max_steps == 101
    assert CompressConfig(size="large").training_config(0.5).max_steps == 0
    with pytest.raises(ConfigError, match=r"compress.*batchsize"):
        CompressConfig.parse({"training": {"batchsize": 3}}, "compress")


def test_nothing_to_learn_from_is_told(folder: Path, tmp_path: Path) -> None:
    nothing = TextPairs([], [], np.empty(0, np.int64), np.empty(0, np.int64))

    with pytest.raises(NotReadyError, match="0 pairs"):
        compress(
            open_model_folder(str(folder)), texts(), [], nothing, CompressConfig(), work=tmp_path, target=tmp_path / "t"
        )
