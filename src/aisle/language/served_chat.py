"""A chat model behind a server that speaks OpenAI's ``/v1/chat/completions``: hosted, vLLM, Ollama and others.

Enters: conversations. Leaves: answers. What is said leaves this machine for the address in the settings, and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from aisle.contracts import Progress, silent
from aisle.domain import Message
from aisle.errors import ContractError
from aisle.language.batches import clean
from aisle.language.openai_server import OWN_ADDRESS, OpenAiServer
from aisle.settings import ChatConfig

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletion

_DECLINED = "content_filter"
"""The code with which servers refuse a question for what it says; the model declined, and nobody has to act."""


class ServedChat:
    """Answers from a server, several questions at a time.

    A server's model may change behind its name; give it a new name when it does, since what it said is kept by name.
    """

    def __init__(self, config: ChatConfig) -> None:
        """Prepare the client; nothing is sent yet.

        Raises:
            ConfigError: see ``OpenAiServer.connect``.
        """
        self._config = config
        self._server = OpenAiServer.connect(
            "chat",
            config.model,
            config.address,
            timeout_seconds=config.timeout_seconds,
            n_retries=config.n_retries,
            key_variable=config.key_variable,
        )

    @classmethod
    def from_config(cls, config: ChatConfig, *, progress: Progress = silent) -> Self:
        """The served model that ``config`` names."""
        del progress  # nothing is prepared here that takes time
        return cls(config)

    @property
    def fingerprint(self) -> str:
        """Identifies server and model."""
        return f"openai-chat1:{self._server.where}:{self._server.model}"

    def reply(self, talks: Sequence[Sequence[Message]], *, progress: Progress = silent) -> list[str]:
        """The next turn of each conversation, "" where the server declines.

        Raises:
            UnavailableError: the server does not answer, or not in time, or is overloaded.
            ConfigError: it refuses key, model or a setting.
            ContractError: its answer is not what the protocol promises.
        """
        answers: list[str] = []
        with ThreadPoolExecutor(self._config.n_at_once, "chat") as pool:
            waiting = [pool.submit(self._reply, talk) for talk in talks]
            try:
                for one in waiting:
                    answers.append(one.result())
                    progress("ask the chat model", len(answers), len(talks))
            finally:
                for one in waiting:
                    one.cancel()
        return answers

    def _reply(self, talk: Sequence[Message]) -> str:
        texts = clean([message.text for message in talk])
        said = [{"role": message.role, "content": text} for message, text in zip(talk, texts, strict=True)]
        answer = self._server.asked(lambda client: self._ask(client, said))
        if answer is None:
            return ""
        if not answer.choices or answer.choices[0].message is None:
            raise ContractError(f"{self._server.where} gave an answer without a message")
        return answer.choices[0].message.content or ""

    def _ask(self, client: OpenAI, said: list[dict[str, str]]) -> ChatCompletion | None:
        """The server's answer, None where it declines for what was said."""
        import openai

        # OpenAI's own newer models know only the longer name, most other servers only the shorter.
        limit = "max_completion_tokens" if self._server.where == OWN_ADDRESS else "max_tokens"
        given: dict[str, Any] = {limit: self._config.max_tokens}
        if self._config.temperature is not None:
            given["temperature"] = self._config.temperature
        try:
            return client.chat.completions.create(model=self._server.model, messages=said, **given)  # type: ignore[arg-type]
        except openai.BadRequestError as error:
            if error.code == _DECLINED:
                return None
            raise
