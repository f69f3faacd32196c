"""The promises of ``contracts.ChatModel``."""

from __future__ import annotations

from collections.abc import Sequence

from aisle.contracts import ChatModel
from aisle.domain import Message
from aisle.testing.conformance.promises import Promise, in_threads

TALKS: Sequence[Sequence[Message]] = (
    (Message("user", "red enamel kettle"),),
    (Message("system", "Answer with one word."), Message("user", "枫叶搪瓷烧水壶 1.5升 红色")),
    (Message("user", "one"), Message("assistant", "two"), Message("user", "three")),
    (Message("user", ""),),
    (Message("user", "🙂 \u202e \x00 \ud800"),),
    (Message("user", "red enamel kettle"),),
)
"""Ordinary, with instructions and Chinese, of several turns, empty, hostile, repeated."""


def check_chat_model(model: ChatModel, talks: Sequence[Sequence[Message]] = TALKS) -> None:
    """Examine a chat model with ``talks``.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    name = f"chat model {type(model).__name__}"
    given = [list(talk) for talk in talks]
    with Promise(name, "reply gives one text for each conversation") as promise:
        answers = model.reply(given)
        promise.require(len(answers) == len(given), f"{len(answers)} answers to {len(given)} conversations")
        promise.require(all(isinstance(answer, str) for answer in answers), f"answers {answers!r}")
        promise.require(given == [list(talk) for talk in talks], "the conversations were changed")
    with Promise(name, "nothing asked, nothing answered") as promise:
        promise.require(model.reply([]) == [], "there was an answer")
    with Promise(name, "safe to call from several threads") as promise:
        for number, found in enumerate(in_threads(lambda number: model.reply(given[: number + 1]))):
            promise.require(len(found) == number + 1, f"{len(found)} answers to {number + 1} conversations")
    with Promise(name, "fingerprint identifies the model and stays the same") as promise:
        fingerprint = model.fingerprint
        promise.require(isinstance(fingerprint, str) and fingerprint, f"it is {fingerprint!r}")
        promise.require(model.fingerprint == fingerprint, "it changed between two readings")
    with Promise(name, "progress hears of work done, never of more than there is") as promise:
        heard: list[tuple[int, int | None]] = []
        model.reply(given, progress=lambda task, done, total=None: heard.append((done, total)))
        promise.require(all(total is None or 0 <= done <= total for done, total in heard), f"heard {heard}")
