"""The training loop keeps its promises: exact resumption, processes that agree, best weights, clear refusals."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from aisle.errors import ConfigError, CorruptError, DataError, NotReadyError, UnavailableError
from aisle.training.checkpoints import checkpoints_in
from aisle.training.config import TrainingConfig
from aisle.training.loop import train
from tests.unit.training.learner import PLAIN, Bag, Words, accuracy, run, weights

PROJECT = Path(__file__).resolve().parents[3]


def program(folder: Path, to: Path, dropout: float = 0.2, die_at: int = 0, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.unit.training.learner", str(folder), str(to), str(dropout), str(die_at)]
    return subprocess.Popen(command, cwd=PROJECT, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


def assert_same(found: dict, wanted: dict, atol: float = 0.0) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=atol, rtol=0, err_msg=name)


def test_it_learns_and_says_what_it_came_to(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []

    model, trained = run(tmp_path, PLAIN.model_copy(update={"epochs": 60}), progress=lambda *what: told.append(what))

    assert trained.n_steps == 600
    assert trained.n_examples == 60 * 95
    assert trained.metrics["accuracy"] > 0.9
    assert trained.metrics["loss"] < 0.5
    assert not model.training
    assert told[-1] == ("words", 600, 600)
    assert any(task.startswith("words\tloss 0.") for task, _, _ in told)


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    first, _ = run(tmp_path / "a")
    again, _ = run(tmp_path / "b")
    other, _ = run(tmp_path / "c", PLAIN.model_copy(update={"seed": 1}))

    assert_same(weights(again), weights(first), 0.0)
    assert not np.allclose(weights(other)["words.weight"], weights(first)["words.weight"])


@pytest.mark.parametrize("die_at", [1, 8, 9, 27])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, die_at: int) -> None:
    whole = program(tmp_path / "whole", tmp_path / "whole.safetensors")
    assert program(tmp_path / "cut", tmp_path / "cut.safetensors", die_at=die_at).wait() == -9

    assert program(tmp_path / "cut", tmp_path / "cut.safetensors").wait() == 0
    assert whole.wait() == 0

    assert_same(load_file(tmp_path / "cut.safetensors"), load_file(tmp_path / "whole.safetensors"))


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    two = [
        program(tmp_path / "two", tmp_path / "two.safetensors", 0.0, RANK=rank, LOCAL_RANK=rank, **meeting)
        for rank in ("0", "1")
    ]
    one = program(tmp_path / "one", tmp_path / "one.safetensors", 0.0)

    assert [process.wait() for process in (*two, one)] == [0, 0, 0]

    assert_same(load_file(tmp_path / "two.safetensors"), load_file(tmp_path / "one.safetensors"), 1e-5)


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    def learned(name: str, **settings: int) -> dict:
        model, objective = Bag(dropout=0.0), Words(mask=0.0, n=90)
        config = PLAIN.model_copy(update={"length_buckets": 0, "optimiser": "sgd", "max_steps": 9, **settings})
        train(model, objective, config, tmp_path / name)
        return weights(model)

    # batches are shuffled among each other, so that only a step over the whole data is the same examples
    large, small = learned("a", batch_size=90, accumulation=1), learned("b", batch_size=15, accumulation=6)

    assert_same(small, large, 1e-6)


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_optimiser_and_schedule_learns(tmp_path: Path, optimiser: str, schedule: str) -> None:
    rate = 0.5 if optimiser == "sgd" else 0.02
    settings = {"optimiser": optimiser, "schedule": schedule, "learning_rate": rate, "epochs": 20, "weight_decay": 0.0}

    _, trained = run(tmp_path, PLAIN.model_copy(update=settings))

    assert trained.metrics["accuracy"] > 0.85


def test_steps_against_the_model_leave_its_words_where_they_were(tmp_path: Path) -> None:
    plain, _ = run(tmp_path / "a", PLAIN.model_copy(update={"max_steps": 1}))
    against, _ = run(tmp_path / "b", PLAIN.model_copy(update={"max_steps": 1, "adversarial_epsilon": 1.0}))
    _, trained = run(tmp_path / "c", PLAIN.model_copy(update={"epochs": 30, "adversarial_epsilon": 0.5}))

    # Adam's first step is one learning rate for every weight, with or without the second gradient
    assert np.abs(weights(against)["words.weight"] - weights(plain)["words.weight"]).max() < 0.03
    assert trained.metrics["accuracy"] > 0.85


def test_word_vectors_that_do_not_learn_are_moved_against_the_model_too(tmp_path: Path) -> None:
    found = {}
    for epsilon in (0.0, 1.0):
        model = Bag(dropout=0.0)
        model.words.weight.requires_grad_(False)
        began = weights(model)
        settings = {"optimiser": "sgd", "max_steps": 1, "accumulation": 2, "weight_decay": 0.0, "clip_norm": 0.0}
        train(
            model,
            Words(),
            PLAIN.model_copy(update={**settings, "adversarial_epsilon": epsilon}),
            tmp_path / str(epsilon),
        )
        found[epsilon] = weights(model)
        np.testing.assert_array_equal(found[epsilon]["words.weight"], began["words.weight"])
        assert model.words.weight.grad is None
        assert not model.words.weight.requires_grad

    moved = [found[epsilon]["out.weight"] - began["out.weight"] for epsilon in (0.0, 1.0)]
    assert not np.allclose(2.0 * moved[0], moved[1], rtol=1e-2)  # as it is where the words stay where they are


def test_steps_against_a_model_without_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="adversarial_epsilon = 0.5 moves word vectors"):
        train(torch.nn.Linear(2, 2), Words(), PLAIN.model_copy(update={"adversarial_epsilon": 0.5}), tmp_path)


def test_the_best_weights_are_kept_and_training_stops_when_they_are_old(tmp_path: Path) -> None:
    model, objective = Bag(), Words()
    values = iter([0.1, 0.5, 0.3, 0.2, 0.9])
    seen = []

    def evaluate(bag: torch.nn.Module) -> dict[str, float]:
        assert not bag.training
        seen.append(weights(bag))
        return {"made_up": next(values)}

    settings = {"early_stopping": "made_up", "patience": 2, "evaluate_every": 2}
    trained = train(model, objective, PLAIN.model_copy(update=settings), tmp_path, evaluate=evaluate)

    assert trained.stopped_early
    assert trained.n_steps == 8
    assert trained.metrics["made_up"] == 0.5
    assert_same(weights(model), seen[1])


def test_what_stopped_early_stays_where_it_was_when_it_is_asked_again(tmp_path: Path) -> None:
    values = iter([0.1, 0.5, 0.3, 0.2, 0.9, 0.95])
    settings = PLAIN.model_copy(update={"early_stopping": "made_up", "patience": 2, "evaluate_every": 2})

    def asked() -> tuple[int, dict[str, float], object]:
        model = Bag()
        trained = train(model, Words(), settings, tmp_path, evaluate=lambda _: {"made_up": next(values)})
        return trained.n_steps, dict(trained.metrics), weights(model)

    (steps, metrics, first), (steps_again, metrics_again, second) = asked(), asked()

    assert (steps, metrics["made_up"]) == (steps_again, metrics_again["made_up"]) == (8, 0.5)
    assert_same(second, first)


def test_less_can_be_better(tmp_path: Path) -> None:
    model, objective = Bag(), Words()
    values = iter([0.1, 0.5, 0.3, 0.2, 0.9])
    settings = {"early_stopping": "-loss_there", "patience": 2, "evaluate_every": 2}

    trained = train(
        model, objective, PLAIN.model_copy(update=settings), tmp_path, evaluate=lambda _: {"loss_there": next(values)}
    )

    assert (trained.n_steps, trained.metrics["loss_there"]) == (6, 0.1)


def test_a_damaged_checkpoint_is_refused_and_the_one_before_serves(tmp_path: Path) -> None:
    run(tmp_path)
    *_, before, newest = checkpoints_in(tmp_path)
    file = newest / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\1")

    with pytest.raises(CorruptError, match="delete it to go on from the one before"):
        run(tmp_path)

    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    again, _ = run(tmp_path)
    fresh, _ = run(tmp_path / "fresh")
    assert before.exists()
    assert_same(weights(again), weights(fresh))


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    run(tmp_path)

    with pytest.raises(ConfigError, match="other settings"):
        run(tmp_path, PLAIN.model_copy(update={"learning_rate": 0.02}))


def test_a_loss_that_is_no_number_is_told_with_what_to_lower(tmp_path: Path) -> None:
    class Diverging(Words):
        def loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return super().loss(model, batch) * (float("nan") if len(self.seen) > 3 else 1.0)

    with pytest.raises(DataError, match="lower learning_rate"):
        train(Bag(), Diverging(), PLAIN, tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:116] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_becomes_advice(tmp_path: Path, error: Exception) -> None:
    class Large(Words):
        def loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            raise error

    with pytest.raises(UnavailableError, match="batch_size = 5 and accumulation = 2"):
        train(Bag(), Large(), PLAIN, tmp_path)


def test_other_errors_are_not_taken_for_memory(tmp_path: Path) -> None:
    class Broken(Words):
        def loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        train(Bag(), Broken(), PLAIN, tmp_path)


def test_what_cannot_be_met_is_refused(tmp_path: Path) -> None:
    frozen = Bag().requires_grad_(False)
    with pytest.raises(NotReadyError, match="no examples"):
        train(Bag(), Words(0), PLAIN, tmp_path)
    with pytest.raises(ConfigError, match="no parameter"):
        train(frozen, Words(), PLAIN, tmp_path)
    with pytest.raises(ConfigError, match="something to evaluate on"):
        train(Bag(), Words(), PLAIN.model_copy(update={"early_stopping": "accuracy"}), tmp_path)
    with pytest.raises(ConfigError, match="there are accuracy"):
        run(tmp_path, PLAIN.model_copy(update={"early_stopping": "auc"}))
    with pytest.raises(ConfigError, match="pip install wandb"):
        run(tmp_path / "w", PLAIN.model_copy(update={"trackers": ("wandb",)}))
    with pytest.raises(ConfigError, match="no tracker is called 'paper'"):
        TrainingConfig.parse({"trackers": ["paper"]}, "training")


def test_tensorboard_files_hold_losses_and_metrics(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path, PLAIN.model_copy(update={"trackers": ("tensorboard",)}))

    read = EventAccumulator(str(next(tmp_path.rglob("events.out*")).parent))
    read.Reload()
    assert {"loss", "learning_rate", "accuracy"} <= set(read.Tags()["scalars"])
    assert len(read.Scalars("loss")) == 40


def test_checkpoints_hold_no_pickle(tmp_path: Path) -> None:
    run(tmp_path)

    found = {path.suffix for folder in checkpoints_in(tmp_path) for path in folder.iterdir()}
    assert found == {".safetensors", ".json"}
    assert json.loads((checkpoints_in(tmp_path)[-1] / "progress.json").read_text())["step"] == 40


def test_only_what_is_trainable_changes(tmp_path: Path) -> None:
    model, objective = Bag(), Words()
    model.words.weight.requires_grad_(False)
    before = weights(model)

    train(model, objective, PLAIN, tmp_path, evaluate=accuracy(objective))

    after = weights(model)
    assert_same({"words.weight": after["words.weight"]}, {"words.weight": before["words.weight"]})
    assert not np.allclose(after["out.weight"], before["out.weight"])
