"""Against a real HTTP server that speaks the protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aisle.domain import Message
from aisle.errors import ConfigError, ContractError, DataError, UnavailableError
from aisle.language import open_chat_model
from aisle.language.served_chat import ServedChat
from aisle.settings import ChatConfig, Settings
from tests.unit.language.chat_server import ChatServer, Fault, chat_server, last_word

TEA = [Message("user", "tea")]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def chat(server: ChatServer, **changed: Any) -> ServedChat:
    given = {"kind": "openai", "model": "small", "address": server.address, "n_retries": 0, "timeout_seconds": 5}
    return ServedChat(ChatConfig.parse({**given, **changed}, "chat"))


def test_answers_come_in_the_order_of_the_questions(server: ChatServer) -> None:
    def answering(messages: list[dict[str, str]]) -> str:
        time.sleep(0.2 if messages[-1]["content"] == "question 0" else 0.0)
        return last_word(messages)

    server.answering = answering
    talks = [[Message("user", f"question {number}")] for number in range(7)]
    heard: list[tuple[int, int | None]] = []

    answers = chat(server, n_at_once=3).reply(talks, progress=lambda _, done, total=None: heard.append((done, total)))

    assert answers == [f"QUESTION {number}" for number in range(7)]
    assert heard == [(done, 7) for done in range(1, 8)]


def test_what_is_said_and_how_reaches_the_server(server: ChatServer) -> None:
    talk = [Message("system", "be brief"), Message("user", "half \ud800 a character"), Message("assistant", "?")]

    chat(server, temperature=0.0, max_tokens=50).reply([[*talk, *TEA]])
    chat(server).reply([TEA])

    first, second = server.asked
    assert [message["role"] for message in first["messages"]] == ["system", "user", "assistant", "user"]
    assert first["messages"][1]["content"] == "half ? a character"
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("small", 0.0, 50)
    assert "temperature" not in second


def test_the_key_comes_from_the_variable_that_is_named(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_CHAT_KEY", "a-key")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chat(server, key_variable="SHOP_CHAT_KEY").reply([TEA])
    chat(server).reply([TEA])
    assert server.keys == ["Bearer a-key", "Bearer none"]


def test_a_key_in_the_settings_is_refused_and_not_repeated(server: ChatServer) -> None:
    with pytest.raises(ConfigError, match="environment variable") as refused:
        chat(server, key_variable="sk-secret")
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize("fault", [Fault(429, headers={"Retry-After": "0.01"}), Fault(500), Fault(503)])
def test_what_may_pass_is_tried_again(server: ChatServer, fault: Fault) -> None:
    server.faults.append(fault)
    assert chat(server, n_retries=1).reply([TEA]) == ["TEA"]
    assert len(server.asked) == 2


def _error(code: str) -> bytes:
    return json.dumps({"error": {"message": "tea is secret", "code": code, "param": None, "type": "t"}}).encode()


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (Fault(401), ConfigError, "refuses the key in OPENAI_API_KEY"),
        (Fault(404), ConfigError, "chat.model"),
        (Fault(413), ConfigError, "status 413"),
        (Fault(400, _error("unsupported_value")), ConfigError, "unsupported_value"),
        (Fault(429, _error("insufficient_quota")), UnavailableError, "insufficient_quota.*try again"),
        (Fault(500), UnavailableError, "try again"),
        (Fault(seconds=0.5), UnavailableError, "APITimeoutError"),
        (Fault(body=b'{"choices": []}'), ContractError, "without a message"),
        (Fault(body=b"not json"), ContractError, "address"),
        (Fault(body=b"<html>", headers={"Content-Type": "text/html"}), ContractError, "address"),
    ],
)
def test_each_failure_says_who_must_act(server: ChatServer, fault: Fault, error: type[Exception], says: str) -> None:
    server.faults.append(fault)
    with pytest.raises(error, match=says) as raised:
        chat(server, timeout_seconds=0.2).reply([TEA])
    assert "secret" not in str(raised.value)


def test_what_the_server_declines_is_answered_by_nothing(server: ChatServer) -> None:
    server.faults.append(Fault(400, _error("content_filter")))
    body = json.dumps({"choices": [{"index": 0, "message": {"content": None}}]}).encode()
    server.faults.append(Fault(body=body))
    assert chat(server, n_at_once=1).reply([TEA, TEA, TEA]) == ["", "", "TEA"]


def test_one_failure_ends_all_and_asks_no_more(server: ChatServer) -> None:
    server.faults.append(Fault(500))
    with pytest.raises(UnavailableError):
        chat(server, n_at_once=1).reply([TEA] * 50)
    assert len(server.asked) < 10


def test_there_is_none_unless_the_shop_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert Settings().chat is None
    with pytest.raises(ConfigError, match=r"this command needs a chat model.*add \[chat\]"):
        open_chat_model(None, "this command")
    with pytest.raises(ConfigError, match="unknown chat model 'opanai'. Did you mean 'openai'"):
        open_chat_model(ChatConfig(kind="opanai", model="m"), "this command")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set and no chat.address"):
        open_chat_model(ChatConfig(kind="openai", model="m"), "this command")
    with pytest.raises(ConfigError, match=r"chat.kind"):
        Settings.parse({"chat": {"model": "m"}}, "")
    with pytest.raises(ConfigError, match=r"\[chat\]: unknown setting 'modle'"):
        Settings.parse({"chat": {"kind": "openai", "model": "m", "modle": "m"}}, "")
    with pytest.raises(DataError, match="role 'boss'"):
        Message("boss", "tea")  # type: ignore[arg-type]
