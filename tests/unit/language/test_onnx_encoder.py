from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aisle.errors import ConfigError, UnavailableError
from aisle.language.onnx import OnnxEncoder
from aisle.language.onnx_cache import cache_folder, is_whole
from aisle.language.transformer import TransformerEncoder
from aisle.settings import EncoderConfig

TEXTS = [
    "Hillside Longjing green tea, 250 g",
    "kettle",
    "",
    " ",
    "山麓龙井绿茶 250克",
    "5/8 in. x 4 ft. x 8 ft. Greenboard",
    "waterproof hiking boots with a very long name that goes on for a while, in brown leather",
    "tea " * 2500,
    "broken \ud800 character",
]


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    return TransformerEncoder.from_config(EncoderConfig(kind="transformers")).encode(TEXTS)


def test_what_the_packaged_model_cannot_read_is_told_alike_by_both_ways_to_run_it() -> None:
    texts = ["green tea", "防水登山鞋", "waterproof 靴子", "", "🙂", "broken \ud800"]
    encoder = OnnxEncoder.from_config(EncoderConfig())
    shares = encoder.unread_shares(texts)

    assert shares.dtype == np.float32
    assert shares[:5].tolist() == pytest.approx([0.0, 0.6, 0.25, 0.0, 1.0])
    by_torch = TransformerEncoder.from_config(EncoderConfig(kind="transformers"))
    assert by_torch.unread_shares(texts).tolist() == shares.tolist()
    assert [len(one.unread_shares([])) for one in (encoder, by_torch)] == [0, 0]


def test_fp32_gives_the_vectors_of_torch(reference: np.ndarray) -> None:
    vectors = OnnxEncoder.from_config(EncoderConfig()).encode(TEXTS)

    assert vectors.dtype == np.float32
    assert (vectors * reference).sum(axis=1).min() > 0.99999


def test_int8_stays_near_and_does_not_depend_on_the_batch(reference: np.ndarray) -> None:
    encoder = OnnxEncoder.from_config(EncoderConfig(precision="int8"))

    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])

    assert (together * reference).sum(axis=1).min() > 0.98
    np.testing.assert_array_equal(together, alone)


def test_nearer_in_meaning_is_nearer_in_angle() -> None:
    query, near, far = OnnxEncoder.from_config(EncoderConfig()).encode(
        ["shoes for the rain", "waterproof boots", "electric kettle"]
    )

    assert query @ near > query @ far + 0.1


def test_a_process_with_an_exported_model_imports_no_torch() -> None:
    OnnxEncoder.from_config(EncoderConfig())
    program = (
        "import sys; from aisle.language import open_encoder; from aisle.settings import EncoderConfig; "
        "open_encoder(EncoderConfig()).encode(['tea']); "
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


def test_a_damaged_export_is_made_anew_and_never_used(
    small_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISLE_CACHE", str(tmp_path))
    model = str(small_model("cls"))
    texts = ["red tea", "green kettles boots", "雨伞", ""]
    by_torch = TransformerEncoder.from_config(EncoderConfig(kind="transformers", model=model)).encode(texts)
    config = EncoderConfig(model=model)
    before = OnnxEncoder.from_config(config).encode(texts)
    np.testing.assert_allclose(before, by_torch, atol=1e-5)
    [folder] = (tmp_path / "onnx").iterdir()
    graph = folder / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 0xFF
    graph.write_bytes(bytes(content))
    assert not is_whole(folder)

    after = OnnxEncoder.from_config(config).encode(texts)

    np.testing.assert_array_equal(before, after)
    assert is_whole(folder)


def test_a_cache_that_cannot_be_written_says_so(
    small_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AISLE_CACHE", str(tmp_path / "file"))

    with pytest.raises(UnavailableError, match="AISLE_CACHE"):
        OnnxEncoder.from_config(EncoderConfig(model=str(small_model("mean"))))


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AISLE_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/aisle")
    monkeypatch.setenv("AISLE_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")


def test_a_model_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        OnnxEncoder.from_config(EncoderConfig(model=str(tmp_path)))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match="safetensors"):
        OnnxEncoder.from_config(EncoderConfig(model=str(tmp_path)))
    with pytest.raises(ConfigError, match="not a folder"):
        OnnxEncoder.from_config(EncoderConfig(model="/no/such/folder"))


def test_progress_ends_at_the_number_of_texts() -> None:
    heard: list[tuple[str, int, int | None]] = []

    OnnxEncoder.from_config(EncoderConfig(batch_size=4)).encode(
        ["tea"] * 10, progress=lambda task, done, total=None: heard.append((task, done, total))
    )

    assert heard == [("encode", 4, 10), ("encode", 8, 10), ("encode", 10, 10)]
