"""Labels of texts over HTTP: several adapters over one language model, chosen by name on every request."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from aisle import wire
from aisle.client import Client, InvalidError, NotFoundError
from aisle.language.adapter_config import AdapterConfig
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import packaged_folder
from aisle.serving.keys import Keys, add_key
from aisle.shop import Shop
from aisle.storage.keys import SqlKeys
from tests.service.tiny_server import in_process, on_a_port, problem

WORDS = {"kitchen": ("kettle", "pan", "spoon", "cup"), "desk": ("lamp", "pencil", "paper", "ink")}
COLOURS = ("red", "blue", "green", "black")
TEXTS = [f"{colour} {word}" for words in WORDS.values() for word in words for colour in COLOURS]
USES = [use for use, words in WORDS.items() for _ in words for _ in COLOURS]
TASKS = {
    "uses": TaskConfig(name="use", kind="classes", labels=("kitchen", "desk")),
    "colours": TaskConfig(name="is_red", kind="binary", labels=("no", "yes")),
}
TABLES = {
    "uses": LabelledTexts("uses", TEXTS, {"use": USES}),
    "colours": LabelledTexts("colours", TEXTS, {"is_red": ["yes" if "red" in one else "no" for one in TEXTS]}),
}


def teach(shop: Shop, name: str, method: str = "prefix", n_steps: int = 60) -> None:
    """A model of the shop, with an adapter beside its language model."""
    config = FinetuneConfig(
        adapter=AdapterConfig(method=method, prefix_length=4),  # type: ignore[arg-type]
        heads_first=False,
        metric="accuracy",
        validation_share=0.2,
        training={"trackers": [], "learning_rate": 3e-2, "max_steps": n_steps, "batch_size": 16, "patience": 99},
    )
    model = str(shop.folder.root / "thin")
    shop.teacher.finetune(name, [TABLES[name]], [TASKS[name]], config, model=model)


@pytest.fixture(scope="module")
def taught(trained_folder, tmp_path_factory) -> Path:
    """The tiny shop with two fine-tuned models that began from one language model."""
    folder = tmp_path_factory.mktemp("taught") / "shop"
    shutil.copytree(trained_folder, folder)
    shutil.copytree(packaged_folder(), folder / "thin", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=30_522, **shape)).save_pretrained(folder / "thin")  # type: ignore[arg-type]
    with Shop.open(folder) as shop:
        for name, method in (("uses", "prefix"), ("colours", "bottleneck")):
            teach(shop, name, method)
    return folder


@pytest.fixture(scope="module")
def http(taught, tmp_path_factory):
    with in_process(taught, tmp_path_factory.mktemp("http") / "shop") as client:
        yield client


def told(answer, task: str) -> list[list[float]]:
    return [list(one["labels"][task].values()) for one in answer["answers"]]


def test_classifiers_are_listed_with_what_they_tell(http):
    listed = http.get("/v1/classifiers").json()["classifiers"]

    wire.TextClassifiers.model_validate_json(http.get("/v1/classifiers").content, strict=True)
    assert [(one["name"], one["version"]) for one in listed] == [("colours", "000001"), ("uses", "000001")]
    assert listed[1]["tasks"] == [{"name": "use", "kind": "classes", "labels": ["kitchen", "desk"]}]
    assert 0.0 < listed[0]["metrics"]["is_red/log_loss"] < 5.0


def test_texts_get_the_probabilities_that_the_model_gives(http):
    texts = [*TEXTS, "", "红色的水壶", "x" * 20_000] * 2  # more than are worked on in one piece
    response = http.post("/v1/classify/uses", json={"texts": texts})

    assert response.status_code == 200, response.text
    wire.Classified.model_validate_json(response.content, strict=True)
    shop = http.app.state.serving.shop
    expected = shop.teacher.text_model("uses").predict(texts)["use"]
    np.testing.assert_allclose(told(response.json(), "use"), expected, atol=1e-5)
    assert (response.json()["name"], response.json()["version"]) == ("uses", "000001")
    with_query = {"texts": ["red pan", "red pan"], "second": ["desk", None]}
    first, second = told(http.post("/v1/classify/uses", json=with_query).json(), "use")
    assert first != second
    assert second == pytest.approx(told(http.post("/v1/classify/uses", json={"texts": ["red pan"]}).json(), "use")[0])


def test_two_adapters_asked_by_eight_threads_say_what_each_says_alone(taught, tmp_path):
    shutil.copytree(taught, tmp_path / "shop")
    with Shop.open(taught) as shop:
        alone = {
            name: np.array(shop.teacher.text_model(name).predict(TEXTS)[task.name]) for name, task in TASKS.items()
        }
    assert np.abs(alone["uses"] - alone["colours"]).max() > 0.2
    with on_a_port(tmp_path / "shop") as address, Client(address, timeout=60.0) as client:

        def ask(thread: int) -> float:
            worst = 0.0
            for turn in range(8):
                name = ("uses", "colours")[(thread + turn) % 2]
                answer = client.classify(name, TEXTS[thread : thread + 12])
                found = [list(one.labels[TASKS[name].name].values()) for one in answer.answers]
                worst = max(worst, float(np.abs(np.array(found) - alone[name][thread : thread + 12]).max()))
            return worst

        with ThreadPoolExecutor(8) as threads:
            assert max(threads.map(ask, range(8))) < 1e-5


def test_models_over_one_language_model_hold_it_once(http):
    for name in TASKS:
        assert http.post(f"/v1/classify/{name}", json={"texts": ["red pan"]}).status_code == 200

    assert http.app.state.serving.shop.classifiers.n_language_models == 1


def test_an_unknown_classifier_is_told_with_the_known_ones(http):
    said = problem(http.post("/v1/classify/use", json={"texts": ["x"]}), 404)

    assert said["detail"] == "unknown text classifier 'use'. Did you mean 'uses'? Known: colours, uses."
    assert said["field"] == "name"
    problem(http.post("/v1/classify/..%2Fuses", json={"texts": ["x"]}), 404)
    problem(http.post("/v1/classify/encoder", json={"texts": ["x"]}), 404)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"texts": []}, "at least 1"),
        ({"texts": ["x"] * 201}, "at most 200"),
        ({"texts": ["x" * 20_001]}, "at most 20000"),
        ({"texts": "x"}, "texts"),
        ({"texts": ["x"], "second": ["a", "b"]}, "1 texts and 2 second texts"),
        ({"texts": ["x"], "task": "use"}, "task"),
        ({"texts": [None]}, "texts"),
    ],
)
def test_texts_beyond_the_limits_are_refused(http, body, words):
    assert words in problem(http.post("/v1/classify/uses", json=body), 422)["detail"]


def test_a_body_of_more_than_a_mebibyte_is_not_read(http):
    problem(http.post("/v1/classify/uses", json={"texts": ["x" * 19_000] * 60}), 413)


def test_fine_tuned_models_are_listed_and_rolled_back_over_http(taught, tmp_path):
    with in_process(taught, tmp_path / "shop") as own:
        first = own.post("/v1/classify/uses", json={"texts": ["red kettle"]}).json()
        assert problem(own.post("/v1/models/text.uses/rollback"), 409)
        with Shop.open(tmp_path / "shop") as elsewhere:
            teach(elsewhere, "uses", n_steps=1)
        listed = own.get("/v1/models")
        wire.Models.model_validate_json(listed.content, strict=True)
        models = {model["name"]: model for model in listed.json()["models"]}
        assert {"text.uses", "text.colours", "popular"} <= set(models)
        assert models["text.uses"]["kind"] == "TextModel"
        assert [one["is_current"] for one in models["text.uses"]["versions"]] == [False, True]
        assert models["text.uses"]["versions"][0]["metrics"]["n_learned"] > 0

        back = own.post("/v1/models/text.uses/rollback")

        assert (back.status_code, back.json()["version"], back.json()["is_current"]) == (200, "000001", True)
        assert own.post("/v1/classify/uses", json={"texts": ["red kettle"]}).json() == first
        assert "text.uses" in problem(own.post("/v1/models/text.use/rollback"), 404)["detail"]


def test_a_new_version_and_a_rollback_answer_the_next_request(taught, tmp_path):
    ask = {"texts": TEXTS[:4]}
    with in_process(taught, tmp_path / "shop") as client:
        first = client.post("/v1/classify/uses", json=ask).json()
        with Shop.open(tmp_path / "shop") as elsewhere:  # as another process would
            teach(elsewhere, "uses", n_steps=20)
            second = client.post("/v1/classify/uses", json=ask).json()
            elsewhere.rollback("text.uses")
        third = client.post("/v1/classify/uses", json=ask).json()

    assert [one["version"] for one in (first, second, third)] == ["000001", "000002", "000001"]
    assert second["answers"] != first["answers"]
    assert third == first


def test_a_key_that_may_read_may_classify(taught, tmp_path):
    records = SqlKeys.open(shutil.copy(taught / "shop.db", tmp_path / "keys.db"))
    token, _ = add_key(records, "site", "read", lambda: 1_700_000_000_000)
    with in_process(taught, tmp_path / "shop", keys=Keys(records)) as client:
        asked = {"url": "/v1/classify/uses", "json": {"texts": ["red pan"]}}
        problem(client.post(**asked), 401)
        assert client.post(**asked, headers={"authorization": f"Bearer {token}"}).status_code == 200
    records.close()


def test_the_client_asks_and_is_told_what_is_wrong(taught, tmp_path):
    shutil.copytree(taught, tmp_path / "shop")
    with on_a_port(tmp_path / "shop") as address, Client(address, timeout=60.0) as client:
        assert [one.name for one in client.classifiers()] == ["colours", "uses"]
        said = client.classify("uses", ["red pan", "red lamp"], second=[None, "desk"])
        assert isinstance(said, wire.Classified)
        assert [sum(one.labels["use"].values()) for one in said.answers] == pytest.approx([1.0, 1.0], abs=1e-5)
        with pytest.raises(NotFoundError, match="Known: colours, uses"):
            client.classify("nothing", ["x"])
        with pytest.raises(InvalidError):
            client.classify("uses", ["x"] * 3 + ["y" * 15_000] * 90)


def test_a_shop_without_classifiers_says_so(trained_folder, tmp_path):
    with in_process(trained_folder, tmp_path / "shop") as client:
        assert client.get("/v1/classifiers").json() == {"classifiers": []}
        said = problem(client.post("/v1/classify/uses", json={"texts": ["x"]}), 404)
    assert "Known: none" in said["detail"]
