"""AdaLoRA's part in training: where ranks are cut after each step, and what keeps its factors orthogonal.

Zhang et al. (2023), "Adaptive budget allocation for parameter-efficient fine-tuning": equation 4 is the penalty,
section 3.2 the cuts, which peft makes. What peft remembers from step to step is kept in buffers of the model, so that
checkpoints hold it and a resumed run is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aisle.errors import ConfigError
from aisle.training.loop import Objective

Int64Array = NDArray[np.int64]
Batch = dict[str, torch.Tensor]


class RankMemory(nn.Module):
    """Buffers with what an AdaLoRA model's allocator of ranks remembers. Belongs to the model as ``rank_memory``."""

    is_cut: torch.Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        inner = model.base_model.model
        self._factors = [name for name, _ in inner.named_parameters() if "lora_" in name]
        self._values = [name for name in self._factors if "lora_E" in name]
        for number, name in enumerate(self._factors):
            self.register_buffer(f"importance_{number}", torch.zeros_like(inner.get_parameter(name)))
            self.register_buffer(f"uncertainty_{number}", torch.zeros_like(inner.get_parameter(name)))
        for number, name in enumerate(self._values):
            kept = torch.ones(len(inner.get_parameter(name)), dtype=torch.bool)
            self.register_buffer(f"kept_{number}", kept)
        self.register_buffer("is_cut", torch.tensor(False))

    def remind(self, tuner: Any) -> None:
        """Give ``tuner`` (peft's AdaLoRA model) what it remembered."""
        allocator = tuner.rankallocator
        for number, name in enumerate(self._factors):
            allocator.exp_avg_ipt[name] = getattr(self, f"importance_{number}")
            allocator.exp_avg_unc[name] = getattr(self, f"uncertainty_{number}")
            allocator.ipt[name] = torch.zeros_like(allocator.exp_avg_ipt[name])
        kept = {name: getattr(self, f"kept_{number}").tolist() for number, name in enumerate(self._values)}
        allocator.peft_config.rank_pattern = kept if self.is_cut else None

    def note(self, tuner: Any) -> None:
        """Take from ``tuner`` what it is to remember."""
        allocator = tuner.rankallocator
        for number, name in enumerate(self._factors):
            if name in allocator.exp_avg_ipt:  # forgotten after the last cut
                getattr(self, f"importance_{number}").copy_(allocator.exp_avg_ipt[name])
                getattr(self, f"uncertainty_{number}").copy_(allocator.exp_avg_unc[name])
        pattern = allocator.peft_config.rank_pattern
        if pattern:
            self.is_cut.fill_(True)
            for number, name in enumerate(self._values):
                kept = getattr(self, f"kept_{number}")
                kept.copy_(torch.tensor(pattern[name], device=kept.device))


class RankBudget:
    """Implements ``training.loop.Objective`` and ``Stepwise``: another objective, learned by an AdaLoRA model."""

    def __init__(self, objective: Objective, model: nn.Module) -> None:
        """``model`` is, or holds, what ``adapters.adapted`` made.

        Raises:
            ConfigError: there is no AdaLoRA in it.
        """
        self.name = objective.name
        self._objective = objective
        self._model = _with_ranks(model)

    @property
    def lengths(self) -> Int64Array:
        """(n_examples,) tokens, as of the other objective."""
        return self._objective.lengths

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """The other objective's batch."""
        return self._objective.collate(rows, rng)

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The other objective's loss and how far the factors are from orthogonal."""
        weight = self._model.active_peft_config.orth_reg_weight
        return self._objective.loss(model, batch) + weight * self._unorthogonal()

    def after_step(self, model: nn.Module, step: int) -> None:
        """Weigh the ranks by the step's gradients; cut where it is time."""
        del model  # holds ours
        tuner, memory = self._model.base_model, self._model.rank_memory
        memory.remind(tuner)
        tuner.update_and_allocate(step)
        memory.note(tuner)

    def _unorthogonal(self) -> torch.Tensor:
        """Mean distance of the factors' products with themselves from the identity."""
        distances: list[torch.Tensor] = []
        for name, factor in self._model.base_model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                product = factor @ factor.T if "lora_A" in name else factor.T @ factor  # (rank, rank)
                distances.append(torch.linalg.norm(product - torch.eye(len(product), device=product.device)))
        return torch.stack(distances).mean()


def _with_ranks(model: nn.Module) -> Any:
    for module in model.modules():
        if isinstance(getattr(module, "rank_memory", None), RankMemory):
            return module
    raise ConfigError(
        'the model has no AdaLoRA; RankBudget is for adapter.method = "adalora"', setting="adapter.method"
    )
