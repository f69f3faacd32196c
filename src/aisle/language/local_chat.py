"""A chat model on this machine: any causal model of transformers, on CPU or GPU.

Enters: conversations. Leaves: answers. Nothing is fetched unless the settings name a Hugging Face model that is not on
this machine (``model_folder``). Torch and transformers are imported when a model is made.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Self

from aisle.contracts import Progress, silent
from aisle.domain import Message
from aisle.errors import ConfigError, DataError
from aisle.language.batches import clean, length_batches
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.settings import ChatConfig


class LocalChat:
    """Answers token by token, several conversations a batch.

    A conversation is written down as the model's own chat template says, or, where it has none, as one line a message
    with the speaker before it. Weights are read from safetensors only: in float32 on a CPU, on a GPU as saved.
    """

    def __init__(self, folder: ModelFolder, config: ChatConfig, *, device: str | None = None) -> None:
        """Load the model.

        Args:
            folder: where it lies.
            config: how it answers.
            device: a torch device; None takes the GPU where there is one.

        Raises:
            ConfigError: transformers cannot load it as a causal model.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        if config.n_threads:
            torch.set_num_threads(config.n_threads)
        if not folder.is_decoder:
            raise ConfigError(
                f"{folder.path} is no causal model, so it cannot answer in words; name one such as a GPT-2 or Qwen2 "
                "for instructions",
                setting="chat.model",
            )
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        kind: Any = torch.float32 if self._device.type == "cpu" else "auto"
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder.path, local_files_only=True, use_safetensors=True, dtype=kind
            )
        except Exception as error:  # transformers raises whatever the model's code raises
            raise ConfigError(f"{folder.path} does not load: {error}", setting="chat.model") from error
        self._model = model.eval().to(self._device)
        self._config = config
        self._fingerprint = f"transformers-chat1:{folder.digest[:32]}"
        self._longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        ends = model.generation_config.eos_token_id
        self._ends = sorted({*(ends if isinstance(ends, list) else [ends]), self._tokenizer.eos_token_id} - {None})
        self._one_at_a_time = threading.Lock()  # a tokenizer of transformers is not safe among threads

    @classmethod
    def from_config(cls, config: ChatConfig, *, progress: Progress = silent) -> Self:
        """The model that ``config.model`` names.

        Raises:
            ConfigError: it is no causal model, or does not load.
            UnavailableError: it is not on this machine and cannot be fetched.
        """
        progress("open chat model", 0, 1)
        made = cls(open_model_folder(config.model, "chat.model"), config)
        progress("open chat model", 1, 1)
        return made

    @property
    def fingerprint(self) -> str:
        """Identifies the model by its weights and words."""
        return self._fingerprint

    def reply(self, talks: Sequence[Sequence[Message]], *, progress: Progress = silent) -> list[str]:
        """The next turn of each conversation, without the model's own marks.

        Raises:
            DataError: a conversation leaves no room for an answer.
        """
        answers = [""] * len(talks)
        with self._one_at_a_time:
            token_ids = [self._token_ids(talk) for talk in talks]
            done = 0
            for batch in length_batches([len(ids) for ids in token_ids], self._config.n_at_once):
                for row, answer in zip(batch, self._generated([token_ids[row] for row in batch]), strict=True):
                    answers[row] = answer
                done += len(batch)
                progress("ask the chat model", done, len(talks))
        return answers

    def _token_ids(self, talk: Sequence[Message]) -> list[int]:
        texts = clean([message.text for message in talk])
        if self._tokenizer.chat_template:
            said = [{"role": message.role, "content": text} for message, text in zip(talk, texts, strict=True)]
            written: Any = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
            ids: list[int] = self._tokenizer(written, add_special_tokens=False)["input_ids"]
        else:
            lines = [f"{message.role}: {text}\n" for message, text in zip(talk, texts, strict=True)]
            ids = self._tokenizer("".join([*lines, "assistant:"]))["input_ids"]
        if self._longest is not None and len(ids) >= self._longest:
            raise DataError(
                f"a conversation of {len(ids):,} tokens; {self._config.model} reads {self._longest:,} with its answer. "
                "Ask for less at once, or name a model that reads more in chat.model"
            )
        return ids

    def _generated(self, batch: Sequence[list[int]]) -> list[str]:
        import torch

        length = max(len(ids) for ids in batch)
        filler = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else (self._ends or [0])[0]
        tokens = torch.full((len(batch), length), filler)  # (b, length), texts at the right end
        mask = torch.zeros((len(batch), length), dtype=torch.int64)
        for row, ids in enumerate(batch):
            tokens[row, length - len(ids) :] = torch.tensor(ids)
            mask[row, length - len(ids) :] = 1
        n_new = (
            self._config.max_tokens if self._longest is None else min(self._config.max_tokens, self._longest - length)
        )
        given: dict[str, Any] = {"max_new_tokens": n_new, "pad_token_id": filler, "eos_token_id": self._ends or None}
        if self._config.temperature is not None:
            given["do_sample"] = self._config.temperature > 0
            if given["do_sample"]:
                given["temperature"] = self._config.temperature
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=tokens.to(self._device), attention_mask=mask.to(self._device), **given
            )
        found = self._tokenizer.batch_decode(written[:, length:].cpu(), skip_special_tokens=True)
        return [text.strip() for text in found]
