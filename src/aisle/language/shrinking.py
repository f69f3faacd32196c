"""Takes parts out of a transformer: whole layers, and neurons of their middles. What stays can be saved and read back.

Enters: a transformers model. Leaves: a smaller copy. Attention heads stay: transformers reads no model back whose
layers have fewer heads than their width asks for.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from aisle.errors import ConfigError


def with_fewer_layers(model: Any, n: int) -> Any:
    """A copy with ``n`` of the layers, at even distances, the last among them (Sanh et al. 2019, DistilBERT, begin so).

    Raises:
        ConfigError: the model has fewer layers, or none that are known.
    """
    n_layers = int(model.config.num_hidden_layers)
    if not 1 <= n <= n_layers:
        raise ConfigError(f"layers = {n}: the model has {n_layers}", setting="compress.layers")
    smaller = copy.deepcopy(model)
    name, layers = _layers(smaller)
    kept = [round((number + 1) * n_layers / n) - 1 for number in range(n)]
    parent = smaller.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], nn.ModuleList([layers[number] for number in kept]))
    for number, layer in enumerate(smaller.get_submodule(name)):
        for module in layer.modules():  # a decoder's cache is numbered by layer
            if hasattr(module, "layer_idx"):
                module.layer_idx = number
    smaller.config.num_hidden_layers = n
    return smaller


def with_narrower_middles(model: Any, share: float, batches: Sequence[dict[str, torch.Tensor]]) -> Any:
    """A copy whose layers keep ``share`` of the neurons of their middle.

    A neuron matters by the mean size of its activation on ``batches`` times the length of its outgoing weights.

    Raises:
        ConfigError: the layers are not built as BERT's.
    """
    smaller = copy.deepcopy(model).eval()
    _, layers = _layers(smaller)
    if not all(hasattr(layer, "intermediate") and hasattr(layer.output, "dense") for layer in layers):
        raise ConfigError(
            f"middle_share: layers of {type(model).__name__} are not built as BERT's; leave it at 1.0",
            setting="compress.middle_share",
        )
    sums = [torch.zeros(layer.intermediate.dense.out_features) for layer in layers]

    def noted(number: int):
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            del module, inputs
            sums[number].add_(output.abs().flatten(0, -2).mean(dim=0).cpu())

        return hook

    hooks = [layer.intermediate.register_forward_hook(noted(number)) for number, layer in enumerate(layers)]
    with torch.inference_mode():
        for batch in batches:
            smaller(**batch)
    for hook in hooks:
        hook.remove()
    n_kept = max(1, round(share * sums[0].numel()))
    for layer, size in zip(layers, sums, strict=True):
        entering, leaving = layer.intermediate.dense, layer.output.dense
        matters = size * leaving.weight.detach().norm(dim=0).cpu()
        kept = matters.topk(n_kept).indices.sort().values.to(entering.weight.device)
        entering.weight = nn.Parameter(entering.weight.detach()[kept].clone())
        entering.bias = nn.Parameter(entering.bias.detach()[kept].clone())
        leaving.weight = nn.Parameter(leaving.weight.detach()[:, kept].clone())
        entering.out_features = leaving.in_features = n_kept
    smaller.config.intermediate_size = n_kept
    return smaller


def _layers(model: Any) -> tuple[str, Any]:
    n_layers = int(model.config.num_hidden_layers)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return name, module
    raise ConfigError(f"{type(model).__name__} has no list of {n_layers} layers, so none can be taken out")
