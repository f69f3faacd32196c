"""Texts encoded by processes of a real Ray have the vectors they have here, whatever happens to a process."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aisle.errors import AisleError, ConfigError, ContractError, DataError, UnavailableError
from aisle.language import RememberingEncoder, for_many, open_encoder
from aisle.language.on_ray import RayEncoder
from aisle.language.remembered import content_hash
from aisle.settings import EncoderConfig, RayEncodingConfig
from aisle.storage import SqlEmbeddings
from aisle.testing import HashedWords
from aisle.training.cluster import connected, ray_modules
from tests.unit.language.frail import AlwaysKilled, Breaking, KilledOnce, Noting, Refusing, Unlike

pytestmark = pytest.mark.timeout(600)  # Ray starts a dozen processes
TWO = RayEncodingConfig(processes=2, batch_size=8, least_texts=20, retries=1)
ONE = TWO.model_copy(update={"processes": 1})
TEXTS = [f"{'red ' * (n % 7)}kettle {n}" for n in range(48)]


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason='an extra that few need: pip install "aisle[ray]"')
    (ray,) = ray_modules("ray", wanted_by="a test", setting="test")
    with connected(ray, None, n_cpus=2, setting="test"):
        yield ray


def spread(kind: type[HashedWords], notes: Path, config: RayEncodingConfig = TWO) -> RayEncoder:
    return RayEncoder(HashedWords(), partial(kind, notes), config)


def with_fatal(place: int) -> list[str]:
    return [*TEXTS[:place], "fatal", *TEXTS[place:]]


def noted(notes: Path) -> Counter[str]:
    return Counter(notes.read_text(encoding="utf-8").split("\n"))


def test_vectors_are_those_of_one_process_in_order(cluster) -> None:
    config = EncoderConfig(ray=TWO)
    here = open_encoder(config)
    heard: list[tuple[str, int, int | None]] = []

    vectors = for_many(here, config).encode(TEXTS, progress=lambda *told: heard.append((*told, None)[:3]))

    np.testing.assert_allclose(vectors, here.encode(TEXTS), atol=1e-6)
    assert [told for told in heard if told[0] == "start Ray"] == [("start Ray", 0, 1), ("start Ray", 1, 1)]
    assert [done for task, done, total in heard if task == "encode" and total == 48] == [8, 16, 24, 32, 40, 48]


def test_a_killed_process_is_started_again(cluster, tmp_path) -> None:
    texts = with_fatal(20)

    vectors = spread(KilledOnce, tmp_path / "notes").encode(texts)

    np.testing.assert_array_equal(vectors, HashedWords().encode(texts))
    assert noted(tmp_path / "notes")["fatal"] == 2
    assert noted(tmp_path / "notes")["opened"] == 3


def test_what_kills_every_process_ends_the_run_and_the_rest_is_kept(cluster, tmp_path) -> None:
    store, longest = SqlEmbeddings.open(tmp_path / "vectors.db"), " ".join(["fatal"] * 20)
    encoder = RememberingEncoder(spread(AlwaysKilled, tmp_path / "notes", ONE), store)

    with pytest.raises(UnavailableError, match=r"encoding on Ray ended .* run the same again") as told:
        encoder.encode([longest, *TEXTS])

    assert noted(tmp_path / "notes")[longest] == 1 + ONE.retries
    n_kept = len(store.read(HashedWords().fingerprint, [content_hash(text) for text in TEXTS]))
    assert n_kept > 0
    assert f"after {n_kept} of 49 texts" in str(told.value)


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        (Refusing, DataError, "a text that cannot be read"),
        (Breaking, ContractError, "the encoder failed on Ray: RuntimeError: shapes do not match"),
        (Unlike, ConfigError, "has encoder another model, this one hashed-words-1:64; give all the same model"),
    ],
)
def test_what_a_process_says_is_told_and_not_tried_again(
    cluster, tmp_path, kind: type[HashedWords], error: type[AisleError], said: str
) -> None:
    with pytest.raises(error, match=said):
        spread(kind, tmp_path / "notes", ONE).encode(with_fatal(20))

    assert noted(tmp_path / "notes")["fatal"] <= 1
    assert noted(tmp_path / "notes")["opened"] == 1


def test_a_process_that_no_machine_can_hold_is_refused(cluster, tmp_path) -> None:
    large = TWO.model_copy(update={"cpus": 999})
    with pytest.raises(ConfigError, match=r"no machine of the cluster has the 999 CPUs and 0 GPUs .* encoder.ray.cpus"):
        spread(Noting, tmp_path / "notes", large).encode(TEXTS)


def test_few_texts_are_encoded_here(tmp_path) -> None:
    encoder, store = spread(Noting, tmp_path / "notes"), SqlEmbeddings.open(tmp_path / "vectors.db")

    for vectors in (encoder.encode(TEXTS[:19]), RememberingEncoder(encoder, store).encode(TEXTS[:19])):
        np.testing.assert_array_equal(vectors, HashedWords().encode(TEXTS[:19]))
    assert not (tmp_path / "notes").exists()


def test_without_the_extra_it_is_named(monkeypatch) -> None:
    monkeypatch.setattr("aisle.training.cluster.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'\[encoder.ray\] needs `pip install "aisle\[ray\]"`'):
        for_many(HashedWords(), EncoderConfig(ray=RayEncodingConfig()))
