"""Takes parts out of a transformer: whole layers, neurons of their middles, attention heads.

Enters: a transformers model. Leaves: a smaller copy that can be saved and read back. Transformers reads no model back
whose layers have fewer heads than their width asks for, so heads that go are made of zeros, which training leaves as
they are; the exporter to ONNX leaves them out of the graph (``without_zero_heads``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
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
    layers = _layers_as_berts(smaller, "neurons")
    sums = _activity(smaller, [layer.intermediate for layer in layers], batches)
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


def with_fewer_heads(model: Any, share: float, batches: Sequence[dict[str, torch.Tensor]]) -> Any:
    """A copy in which all but ``share`` of each layer's attention heads are zeros, from their inputs to their outputs.

    A head matters by the mean size of what it passes on times the length of the weights that take it in.

    Raises:
        ConfigError: the layers are not built as BERT's.
    """
    smaller = copy.deepcopy(model).eval()
    layers = _layers_as_berts(smaller, "heads")
    sums = _activity(smaller, [layer.attention.self for layer in layers], batches)
    for layer, size in zip(layers, sums, strict=True):
        attention, leaving = layer.attention.self, layer.attention.output.dense
        n_heads, width = attention.num_attention_heads, attention.attention_head_size
        matters = (size * leaving.weight.detach().norm(dim=0).cpu()).reshape(n_heads, width).sum(dim=1)
        gone = matters.topk(n_heads - max(1, round(share * n_heads)), largest=False).indices
        rows = (gone[:, None] * width + torch.arange(width)).flatten().to(leaving.weight.device)
        with torch.no_grad():
            for entering in (attention.query, attention.key, attention.value):
                entering.weight[rows] = 0.0
                entering.bias[rows] = 0.0
            leaving.weight[:, rows] = 0.0
    return smaller


def without_zero_heads(model: Any) -> Any:
    """``model`` itself with the attention heads taken out that pass nothing on: the same vectors sooner.

    What it leaves cannot be read back by transformers. Models that are not built as BERT stay as they are.
    """
    layers = next((list(one) for name, one in _lists(model) if all(map(_is_as_berts, one))), [])
    for layer in layers:
        attention, leaving = layer.attention.self, layer.attention.output.dense
        n_heads, width = attention.num_attention_heads, attention.attention_head_size
        weights = leaving.weight.detach().abs().sum(dim=0).reshape(n_heads, width).sum(dim=1)
        kept = weights.nonzero().flatten()
        if not 0 < len(kept) < n_heads:
            continue
        rows = (kept[:, None] * width + torch.arange(width)).flatten()
        for name in ("query", "key", "value"):
            setattr(attention, name, _linear(getattr(attention, name), rows))
        leaving.weight = nn.Parameter(leaving.weight.detach()[:, rows].clone())
        leaving.in_features = len(rows)
        attention.num_attention_heads, attention.all_head_size = len(kept), len(rows)
    return model


def _linear(whole: nn.Linear, rows: torch.Tensor) -> nn.Linear:
    part = nn.Linear(whole.in_features, len(rows))
    part.weight = nn.Parameter(whole.weight.detach()[rows].clone())
    part.bias = nn.Parameter(whole.bias.detach()[rows].clone())
    return part


def _activity(model: Any, modules: Sequence[Any], batches: Sequence[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
    """The mean size of each output of each module on ``batches``, (n_outputs,) a module."""
    sums: list[torch.Tensor] = []

    def noted(number: int):
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
            del module, inputs
            found = (output[0] if isinstance(output, tuple) else output).abs().flatten(0, -2).mean(dim=0).cpu()
            if number == len(sums):
                sums.append(torch.zeros_like(found))
            sums[number].add_(found)

        return hook

    hooks = [module.register_forward_hook(noted(number)) for number, module in enumerate(modules)]
    try:
        with torch.inference_mode():
            for batch in batches:
                model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return sums


def _layers_as_berts(model: Any, setting: str) -> Any:
    _, layers = _layers(model)
    if not all(_is_as_berts(layer) for layer in layers):
        raise ConfigError(
            f"{setting}: layers of {type(model).__name__} are not built as BERT's; leave it at 1.0",
            setting=f"compress.{setting}",
        )
    return layers


def _is_as_berts(layer: Any) -> bool:
    has_middle = hasattr(layer, "intermediate") and hasattr(getattr(layer, "output", None), "dense")
    attention = getattr(layer, "attention", None)
    return has_middle and hasattr(attention, "output") and hasattr(getattr(attention, "self", None), "query")


def _layers(model: Any) -> tuple[str, Any]:
    for found in _lists(model):
        return found
    n_layers = model.config.num_hidden_layers
    raise ConfigError(f"{type(model).__name__} has no list of {n_layers} layers, so none can be taken out")


def _lists(model: Any) -> Iterator[tuple[str, Any]]:
    """Lists of as many modules as the model has layers, with their names."""
    n_layers = getattr(model.config, "num_hidden_layers", 0)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            yield name, module
