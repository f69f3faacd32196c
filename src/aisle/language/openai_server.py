"""A server that speaks OpenAI's protocol, as every model behind one needs it: address, key, attempts, errors.

Enters: what the settings say. Leaves: a client, and its errors by who must act. Texts leave this machine for the
address in the settings, and nowhere else; keys come from environment variables.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from aisle.errors import ConfigError, ContractError, UnavailableError

if TYPE_CHECKING:
    from openai import APIError, OpenAI

Answer = TypeVar("Answer")

KEY_VARIABLE = "OPENAI_API_KEY"
OWN_ADDRESS = "https://api.openai.com/v1"
_MAY_PASS = (408, 409, 429)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TELLING = re.compile(r"[\w.\-\[\]]{1,60}")
"""What a server's code or parameter looks like; anything else may repeat what it was sent and is not shown."""


@dataclass(frozen=True)
class OpenAiServer:
    """A client of one server. ``table`` is the settings table it comes from, such as ``encoder``, for messages."""

    client: OpenAI
    table: str
    model: str
    where: str
    key_variable: str

    @classmethod
    def connect(
        cls,
        table: str,
        model: str,
        address: str | None,
        *,
        timeout_seconds: float,
        n_retries: int,
        key_variable: str = KEY_VARIABLE,
    ) -> Self:
        """Prepare the client; nothing is sent yet.

        Args:
            table: of the settings.
            model: the served model's name.
            address: base address including ``/v1``; None for OpenAI's own.
            timeout_seconds: of one attempt.
            n_retries: further attempts after a connection error, a timeout, 408, 409, 429 or 5xx.
            key_variable: the environment variable that holds the key.

        Raises:
            ConfigError: the ``openai`` package is missing, or OpenAI's own server is meant and no key is set, or
                ``key_variable`` is no variable's name.
        """
        if importlib.util.find_spec("openai") is None:
            raise ConfigError(f'{table}.kind = "openai" needs the openai package; run `pip install "aisle[llm]"`')
        if not _VARIABLE.fullmatch(key_variable):  # it may be the key itself, so it is not shown
            raise ConfigError(
                f"{table}.key_variable is not the name of an environment variable; put the key into one such as "
                f"{KEY_VARIABLE} and name that, keys do not belong in the settings",
                setting=f"{table}.key_variable",
            )
        from openai import OpenAI

        key = os.environ.get(key_variable)
        if not key and address is None:
            raise ConfigError(f"{key_variable} is not set and no {table}.address is given; set one of them")
        where = address or OWN_ADDRESS
        client = OpenAI(api_key=key or "none", base_url=where, timeout=timeout_seconds, max_retries=n_retries)
        return cls(client, table, model, where, key_variable)

    def asked(self, ask: Callable[[OpenAI], Answer]) -> Answer:
        """What ``ask`` gets from the client.

        Raises:
            UnavailableError: the server does not answer, or not in time, or is overloaded.
            ConfigError: it refuses key or model.
            ContractError: it speaks something else.
        """
        import openai

        try:
            answer = ask(self.client)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ConfigError(
                f"{self.where} refuses the key in {self.key_variable} (status {error.status_code}); set a valid one"
            ) from error
        except openai.APIStatusError as error:
            status = f"status {error.status_code}{_told(error)}"
            if 400 <= error.status_code < 500 and error.status_code not in _MAY_PASS:
                raise ConfigError(
                    f"{self.where} refuses the request for model {self.model!r} ({status}); check {self.table}.model "
                    f"and {self.table}.address",
                    setting=f"{self.table}.model",
                ) from error
            raise UnavailableError(
                f"the server {self.where} of [{self.table}] does not answer ({status}); try again later"
            ) from error
        except openai.OpenAIError as error:
            raise UnavailableError(
                f"the server {self.where} of [{self.table}] does not answer ({type(error).__name__}); try again later"
            ) from error
        except ValueError as error:
            raise self._speaks_otherwise() from error
        if isinstance(answer, str):  # what the client makes of an answer that is no JSON
            raise self._speaks_otherwise()
        return answer

    def _speaks_otherwise(self) -> ContractError:
        return ContractError(
            f"{self.where} answers, but not as the protocol says; check {self.table}.address, which mostly ends in /v1"
        )


def _told(error: APIError) -> str:
    """What the server names as the reason, where that is a name."""
    named = [part for part in (error.code, error.param) if isinstance(part, str) and _TELLING.fullmatch(part)]
    return "".join(f", {part}" for part in named)
