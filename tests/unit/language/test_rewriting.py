"""Rewriting against a real server whose model answers well, badly, in another form, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from aisle.errors import ConfigError, UnavailableError
from aisle.language.rewriting import (
    UNREADABLE,
    RewritingConfig,
    Rewritten,
    Way,
    parsed,
    rewrite,
    spoken_in,
    why_unfit,
)
from aisle.language.served_chat import ServedChat
from aisle.settings import ChatConfig
from aisle.storage import KeptRewriting, SqlRewritings
from tests.unit.language.chat_server import ChatServer, Fault, chat_server

TEXTS = {"Red enamel kettle 1.5 L": "en", "Blue mug": "en", "红色搪瓷水壶 1.5升": "zh", "Tetera roja": "es"}
SAID = {
    "paraphrase": {
        "Red enamel kettle 1.5 L": "Kettle of red enamel, 1.5L",
        "Blue mug": "A cup in blue",
        "红色搪瓷水壶 1.5升": "1.5升 搪瓷烧水壶（红）",
        "Tetera roja": "Una tetera de color rojo",
    },
    "translation.zh": {"Red enamel kettle 1.5 L": "红色珐琅水壶 1.5升", "Blue mug": "蓝色马克杯"},
    "translation.en": {
        "红色搪瓷水壶 1.5升": "Red enamel water kettle 1.5 L",
        "红色珐琅水壶 1.5升": "Red enamelware kettle 1.5L",
        "蓝色马克杯": "Blue coffee mug",
        "红色搪瓷烧水壶": "Red kettle",
    },
}
SAID["translation.zh"]["Red enamel water kettle 1.5 L"] = "红色搪瓷烧水壶 1.5升"


def task_of(messages: list[dict[str, str]]) -> str:
    system = messages[0]["content"]
    told = {
        "in other words": "paraphrase",
        "into Simplified Chinese": "translation.zh",
        "into English": "translation.en",
    }
    return next(task for words, task in told.items() if words in system)


def well(messages: list[dict[str, str]]) -> str:
    given: Mapping[str, str] = json.loads(messages[1]["content"])
    return json.dumps({name: SAID[task_of(messages)][text] for name, text in given.items()}, ensure_ascii=False)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(well) as running:
        yield running


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[SqlRewritings]:
    store = SqlRewritings.open(tmp_path / "rewritings.db")
    yield store
    store.close()


def chat(server: ChatServer, n_retries: int = 0, model: str = "able") -> ServedChat:
    given = {"address": server.address, "n_retries": n_retries, "timeout_seconds": 5.0, "n_at_once": 2}
    return ServedChat(ChatConfig.parse({"kind": "openai", "model": model, **given}, "chat"))


def config(*ways: Way, texts_a_request: int = 10) -> RewritingConfig:
    return RewritingConfig(ways=ways, texts_a_request=texts_a_request)


def test_each_way_of_saying_it(server: ChatServer, kept: SqlRewritings) -> None:
    found = rewrite(TEXTS, chat(server), kept, config("paraphrase", "translation", "back_translation"))

    assert found.ways == {
        "Red enamel kettle 1.5 L": [
            "Kettle of red enamel, 1.5L",
            "红色珐琅水壶 1.5升",
            "Red enamelware kettle 1.5L",
        ],
        "Blue mug": ["A cup in blue", "蓝色马克杯", "Blue coffee mug"],
        "红色搪瓷水壶 1.5升": ["1.5升 搪瓷烧水壶（红）", "Red enamel water kettle 1.5 L", "红色搪瓷烧水壶 1.5升"],
        "Tetera roja": ["Una tetera de color rojo"],
    }
    assert found.dropped == {}
    assert found.metrics() == {"n_texts_to_rewrite": 4.0, "n_rewritten_texts": 4.0, "n_rewritings": 10.0}
    assert Rewritten().metrics() == {}


def test_texts_share_requests_and_the_way_back_does_not_see_the_original(
    server: ChatServer, kept: SqlRewritings
) -> None:
    rewrite(TEXTS, chat(server), kept, config("back_translation", texts_a_request=1))
    assert len(server.asked) == 6
    back = [asked for asked in server.asked if "红色珐琅水壶" in str(asked)]
    assert len(back) == 1
    assert "Red enamel kettle" not in str(back)

    server.asked.clear()
    rewrite(TEXTS, chat(server), kept, config("paraphrase"))
    assert [len(json.loads(asked["messages"][1]["content"])) for asked in server.asked] == [4]


def test_what_was_said_is_not_asked_again(server: ChatServer, kept: SqlRewritings) -> None:
    first = rewrite(TEXTS, chat(server), kept, config("paraphrase", "back_translation"))
    n_asked = len(server.asked)
    heard: list[tuple[str, int, int | None]] = []

    again = rewrite(
        {**TEXTS},
        chat(server),
        kept,
        config("paraphrase", "back_translation", texts_a_request=2),
        lambda task, done, total=None: heard.append((task, done, total)),
    )

    assert again == first
    assert len(server.asked) == n_asked
    assert ("rewrite texts: paraphrase", 4, 4) in heard
    rewrite(TEXTS, chat(server, model="another"), kept, config("paraphrase"))
    assert len(server.asked) == n_asked + 1


def test_bad_answers_are_dropped_counted_and_not_asked_again(server: ChatServer, kept: SqlRewritings) -> None:
    bad = {"Red enamel kettle 1.5 L": "Red kettle 1.7 L", "Blue mug": "blue MUG!", "红色搪瓷水壶 1.5升": ""}
    server.answering = lambda messages: json.dumps(
        {name: {**SAID["paraphrase"], **bad}[text] for name, text in json.loads(messages[1]["content"]).items()}
    )

    found = rewrite(TEXTS, chat(server), kept, config("paraphrase"))

    assert found.ways == {"Tetera roja": ["Una tetera de color rojo"]}
    assert found.dropped == {"other numbers": 1, "the same text": 1, "empty": 1}
    assert found.metrics()["n_dropped.other numbers"] == 1.0
    server.answering = well
    assert rewrite(TEXTS, chat(server), kept, config("paraphrase")) == found
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    ["", "Sorry!", '{"1": "a mug"}', '["a", "b"]', '{"1": "a", "2": 3}', '{"1": "a", "1": "b", "2": "c"}', "{}"],
)
def test_an_answer_in_another_form_is_asked_for_once_more_and_then_left(
    server: ChatServer, kept: SqlRewritings, answer: str
) -> None:
    texts = {"Blue mug": "en", "Red enamel kettle 1.5 L": "en", "Tetera roja": "es"}
    server.answering = lambda messages: answer if "Blue" in messages[1]["content"] else well(messages)

    found = rewrite(texts, chat(server), kept, config("paraphrase", texts_a_request=2))

    assert found.ways == {"Tetera roja": ["Una tetera de color rojo"]}
    assert found.dropped == {UNREADABLE: 2}
    assert len(server.asked) == 3
    server.answering = well
    assert len(rewrite(texts, chat(server), kept, config("paraphrase")).ways) == 3


def test_an_overloaded_server_is_waited_for(server: ChatServer, kept: SqlRewritings) -> None:
    server.faults += [Fault(429, headers={"Retry-After": "0.01"}), Fault(500)]
    assert len(rewrite(TEXTS, chat(server, n_retries=2), kept, config("paraphrase")).ways) == 4
    assert len(server.asked) == 3


def test_a_run_that_broke_off_goes_on_where_it_was(server: ChatServer, kept: SqlRewritings) -> None:
    texts = {f"Mug number {number} in blue": "en" for number in range(24)}

    def renamed(messages: list[dict[str, str]]) -> str:
        if len(server.asked) > 10:
            server.faults += [Fault(500)] * 20
        given = json.loads(messages[1]["content"])
        return json.dumps({name: text.replace("Mug", "Cup") for name, text in given.items()})

    server.answering = renamed
    with pytest.raises(UnavailableError):
        rewrite(texts, chat(server), kept, config("paraphrase", texts_a_request=1))
    server.faults.clear()
    server.asked.clear()
    server.answering = lambda messages: json.dumps({"1": json.loads(messages[1]["content"])["1"] + " again"})

    found = rewrite(texts, chat(server), kept, config("paraphrase", texts_a_request=1))

    assert found.ways["Mug number 0 in blue"] == ["Cup number 0 in blue"]
    assert found.ways["Mug number 23 in blue"] == ["Mug number 23 in blue again"]
    assert len(server.asked) == 16


def test_a_model_that_is_of_no_use_is_refused_early(server: ChatServer, kept: SqlRewritings) -> None:
    server.answering = lambda messages: messages[1]["content"]
    texts = {f"Mug number {number}": "en" for number in range(500)}
    with pytest.raises(ConfigError, match=r"nothing that the chat model .*able made .*the same text.*chat\.model"):
        rewrite(texts, chat(server), kept, config("paraphrase", texts_a_request=5))
    assert len(server.asked) == 16
    with pytest.raises(ConfigError, match="only translates"):
        rewrite({"Tetera roja": "es"}, chat(server), kept, config("translation"))
    assert rewrite({}, chat(server), kept, config("paraphrase")) == Rewritten()


WRITER = """
import sys
from aisle.storage import KeptRewriting, SqlRewritings
store = SqlRewritings.open(sys.argv[1])
for number in range(200):
    own = f"{sys.argv[2]} {number}"
    store.append({f"key {number}": KeptRewriting(own), own: KeptRewriting("", "empty")})
store.close()
"""


def test_two_processes_keep_what_came_first(tmp_path: Path) -> None:
    where = tmp_path / "rewritings.db"
    SqlRewritings.open(where).close()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, where, name]) for name in ("one", "two")]
    assert [writer.wait() for writer in writers] == [0, 0]

    store = SqlRewritings.open(where)
    answers = store.read([f"key {number}" for number in range(201)])
    own = store.read([f"{name} {number}" for name in ("one", "two") for number in range(200)])
    store.append({"key 0": KeptRewriting("late")})
    assert store.read(["key 0"]) == {"key 0": answers["key 0"]}
    store.close()
    assert len(answers) == 200
    assert all(answer.text in (f"one {key[4:]}", f"two {key[4:]}") for key, answer in answers.items())
    assert len(own) == 400
    assert set(own.values()) == {KeptRewriting("", "empty")}
    assert b"key 0" not in where.read_bytes()


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        ('{"1": "a", "2": "b"}', ["a", "b"]),
        ('{"2": "b", "1": "a"}', ["a", "b"]),
        ('```json\n{"1": "a", "2": "b"}\n```', ["a", "b"]),
        ('<think>{"1": "hm"}</think>\n{"1": " a\\n\\u0000 c ", "2": "b"}', ["a c", "b"]),
        ('Here you are: {"1": "a", "2": "b"}', None),
        ('{"1": {"2": "b"}, "2": "b"}', None),
        ('{"1": "a", "2": "b", "3": "c"}', None),
        ("[1, 2]", None),
        ("[]", None),
        ("null", None),
    ],
)
def test_only_the_form_asked_for_is_read(answer: str, lines: list[str] | None) -> None:
    assert parsed(answer, 2) == lines


def test_what_does_not_say_the_same_is_unfit() -> None:
    assert why_unfit("Blue mug", "A cup in blue", "en") == ""
    assert why_unfit("Blue mug", "blue-mug", "en") == "the same text"
    assert why_unfit("Blue mug", "A cup in blue " * 9, "en") == "far longer or shorter"
    assert why_unfit("Waterproof hiking boots with a grippy sole for women", "boots", "en") == "far longer or shorter"
    assert why_unfit("Blue mug", "蓝色马克杯", "en") == "another language"
    assert why_unfit("Blue mug", "蓝色马克杯", "zh") == ""
    assert why_unfit("Blue mug", "", None) == "empty"
    assert why_unfit("Mug 300 ml", "Cup 30 ml", "en") == "other numbers"


def test_what_a_text_is_written_in() -> None:
    assert spoken_in("Blue mug") == "en"
    assert spoken_in("Nike 跑鞋 男") == "zh"
    assert spoken_in("Blue mug", "es") is None
    assert spoken_in("青いマグカップ", "zh") is None
    assert spoken_in("голубая кружка") is None
    assert spoken_in("123") is None
