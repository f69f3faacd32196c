"""The promises of ``contracts.Encoder``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aisle.contracts import Encoder
from aisle.testing.conformance.promises import Promise, in_threads

TOLERANCE = 1e-3
"""How far the vectors of one text may lie apart, by the contract."""
TEXTS = (
    "red enamel kettle",
    "",
    "枫叶搪瓷烧水壶 1.5升 红色",
    "   ",
    "waterproof hiking boots with a grippy sole " * 60,
    "🙂 \u202e \x00 \ud7ff",
    "red enamel kettle",
    "a",
)
"""Ordinary, empty, Chinese, blank, longer than most models read, hostile, repeated, short."""


def check_encoder(encoder: Encoder, texts: Sequence[str] = TEXTS) -> None:
    """Examine an encoder with ``texts`` (at least two different ones).

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    name = f"encoder {type(encoder).__name__}"
    given = list(texts)
    with Promise(name, "encode gives (len(texts), dimension) float32 unit rows") as promise:
        vectors = encoder.encode(given)
        wanted = (len(given), encoder.dimension)
        promise.require(vectors.shape == wanted, f"shape {vectors.shape}, wanted {wanted}")
        promise.require(vectors.dtype == np.float32, f"dtype {vectors.dtype}")
        lengths = np.linalg.norm(vectors, axis=1)
        promise.require(np.allclose(lengths, 1.0, atol=TOLERANCE), f"lengths {lengths.tolist()}")
        promise.require(given == list(texts), "the list of texts was changed")
    with Promise(name, "no text gives no rows") as promise:
        shape = encoder.encode([]).shape
        promise.require(shape == (0, encoder.dimension), f"shape {shape}, wanted {(0, encoder.dimension)}")
    with Promise(name, "the same text gives the same vector whatever it is batched with") as promise:
        alone = np.concatenate([encoder.encode([text]) for text in given])
        _require_close(promise, alone, vectors, "alone and together")
        _require_close(promise, encoder.encode(given[::-1])[::-1], vectors, "in another order")
    with Promise(name, "different texts give different vectors") as promise:
        distinct = encoder.encode(["red enamel kettle", "waterproof hiking boots"])
        promise.require(float(distinct[0] @ distinct[1]) < 1 - TOLERANCE, "two texts have one vector")
    with Promise(name, "safe to call from several threads") as promise:
        for number, found in enumerate(in_threads(lambda number: encoder.encode(given[: number + 1]))):
            _require_close(promise, found, vectors[: number + 1], "in several threads")
    with Promise(name, "fingerprint identifies model and settings and stays the same") as promise:
        fingerprint = encoder.fingerprint
        promise.require(isinstance(fingerprint, str) and fingerprint, f"it is {fingerprint!r}")
        promise.require(encoder.fingerprint == fingerprint, "it changed between two readings")
    with Promise(name, "progress hears of work done, never of more than there is") as promise:
        heard: list[tuple[int, int | None]] = []
        encoder.encode(given, progress=lambda task, done, total=None: heard.append((done, total)))
        promise.require(all(total is None or 0 <= done <= total for done, total in heard), f"heard {heard}")


def _require_close(promise: Promise, found: np.ndarray, wanted: np.ndarray, where: str) -> None:
    apart = float(np.abs(found - wanted).max(initial=0.0))
    promise.require(apart <= TOLERANCE, f"{where} the vectors lie {apart:.2g} apart; allowed is {TOLERANCE:g}")
