"""Writes a transformers model as ONNX: run as its own process, so that a serving process never holds torch.

``python -m aisle.language.onnx_export SOURCE TARGET fp32|int8 mean|cls|max|last MAX_TOKENS`` reads the model folder
SOURCE and fills the empty folder TARGET with ``model.onnx`` and ``tokenizer.json``. The graph takes ``input_ids`` and
``attention_mask`` (n, length) int64 and gives ``embedding`` (n, d) float32 unit rows.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import cast

from aisle.language.model_folder import Pooling
from aisle.language.pooling import pooled

_OPSET = 17


def export(source: Path, target: Path, precision: str, pooling: Pooling, max_tokens: int) -> None:
    """Fill ``target``; see the module. int8 stores each matrix per output channel, and word vectors in 16 bits."""
    exact = target / "model.onnx"
    _write_tokenizer(source, target / "tokenizer.json", max_tokens)
    if precision == "fp32":
        _write_graph(source, exact, pooling)
        return
    unquantised = target / "fp32.onnx"
    _write_graph(source, unquantised, pooling)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(unquantised, exact, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    unquantised.unlink()
    _halve_looked_up(exact)


def _write_graph(source: Path, path: Path, pooling: Pooling) -> None:
    import torch
    from transformers import AutoModel

    from aisle.language.shrinking import without_zero_heads  # brings torch

    model = AutoModel.from_pretrained(
        source, local_files_only=True, use_safetensors=True, attn_implementation="eager", dtype=torch.float32
    ).eval()

    model = without_zero_heads(model)

    class TextToVector(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            # written out, for a decoder's graph does not say how wide it is
            return pooled(hidden, attention_mask, pooling).reshape(-1, model.config.hidden_size)

    tokens = torch.ones((2, 8), dtype=torch.int64)
    axes = {0: "texts", 1: "tokens"}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every shape it reads; the tests compare the result
        torch.onnx.export(
            TextToVector(),
            (tokens, torch.ones_like(tokens)),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "texts"}},
            opset_version=_OPSET,
            dynamo=False,
        )


def _halve_looked_up(path: Path) -> None:
    """Store what is looked up by row (word vectors) in 16 bits: half the size; rows are widened as they are read."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    tables = {one.name: one for one in graph.initializer if one.data_type == TensorProto.FLOAT and len(one.dims) == 2}
    readers = {name: [node for node in graph.node if name in node.input] for name in tables}
    for name, nodes in readers.items():
        if not nodes or any(node.op_type != "Gather" or node.input[0] != name for node in nodes):
            continue
        table = tables[name]
        table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table).astype("float16"), name))
        for node in nodes:
            rows, node.output[0] = node.output[0], f"{node.output[0]}_half"
            widened = helper.make_node("Cast", [node.output[0]], [rows], to=TensorProto.FLOAT)
            graph.node.insert(list(graph.node).index(node) + 1, widened)
    onnx.save(model, path)


def _write_tokenizer(source: Path, path: Path, max_tokens: int) -> None:
    """The fast tokenizer with its truncation set; padding is left to the batches."""
    if (source / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    else:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True).backend_tokenizer
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    tokenizer.save(str(path))


if __name__ == "__main__":
    _, from_folder, to_folder, wanted, how, limit = sys.argv
    export(Path(from_folder), Path(to_folder), wanted, cast(Pooling, how), int(limit))
