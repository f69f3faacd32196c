"""Learns which pieces of text a new model reads as one token.

Enters: texts. Leaves: a tokenizer of transformers. The kinds are WordPiece (Schuster and Nakajima 2012, "Japanese and
Korean voice search") as BERT has it, and byte-pair encoding (Sennrich et al. 2016, "Neural machine translation of rare
words with subword units") over characters, or over bytes as GPT-2 has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from aisle.errors import ConfigError, NotReadyError
from aisle.language.batches import clean

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

VocabularyKind = Literal["pieces", "wordpiece", "bpe"]

_LEAST_CHARACTERS = 1_000
"""Characters that are not blank, in different texts, below which a vocabulary would be learned by heart."""
_LEAST_SIZE = {"pieces": 100, "wordpiece": 100, "bpe": 300}
"""Below it there is hardly room for characters, or for more than the 256 bytes."""
_CHARACTERS_SHARE = {"pieces": 0.5, "wordpiece": 0.75}
"""Share of a vocabulary that single characters may take; Chinese has thousands, and words need room."""
_LEAST_OFTEN = 2
"""Times a piece must be seen."""


def learn_vocabulary(texts: Sequence[str], kind: VocabularyKind, size: int) -> PreTrainedTokenizerFast:
    """A tokenizer for texts like ``texts``; the same texts give the same tokenizer.

    Args:
        texts: what to learn from, in any order; repetitions count once.
        kind: ``pieces`` and ``wordpiece`` for encoders: lower case without accents, ``[CLS]`` and ``[SEP]`` around a
            text, ``[UNK]`` for characters that are not in the vocabulary. ``pieces`` takes Chinese characters that
            often follow each other together, ``wordpiece`` leaves them apart. ``bpe`` for decoders: any text, without
            loss, ``<|start|>`` and ``<|end|>`` around it.
        size: tokens at most; texts that have fewer pieces worth a token give a smaller vocabulary.

    Raises:
        ConfigError: ``size`` is too small for ``kind``.
        NotReadyError: there is too little text.
    """
    if size < _LEAST_SIZE[kind]:
        raise ConfigError(
            f"a {kind} vocabulary of {size:,} tokens is too small; take {_LEAST_SIZE[kind]:,} or more",
            setting="vocabulary",
        )
    different = sorted(set(clean(texts)))
    n_characters = sum(len("".join(text.split())) for text in different)
    if n_characters < _LEAST_CHARACTERS:
        raise NotReadyError(
            f"there are {n_characters:,} characters of text to learn a vocabulary from and {_LEAST_CHARACTERS:,} are "
            "needed: import more items, or give more texts",
            command="aisle import",
        )
    return {"pieces": _pieces, "wordpiece": _wordpiece, "bpe": _bpe}[kind](different, size)


def _marks() -> dict[str, str]:
    return {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def _pieces(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    marks = _marks()
    tokenizer = Tokenizer(models.BPE(unk_token=marks["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.Fuse()
    characters, _ = _characters(tokenizer, texts, int(size * _CHARACTERS_SHARE["pieces"]) - len(marks))
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=_LEAST_OFTEN,
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        special_tokens=list(marks.values()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    number = tokenizer.get_vocab()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", number["[SEP]"]), ("[CLS]", number["[CLS]"]))
    return _for_transformers(tokenizer, marks)


def _wordpiece(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    marks = _marks()

    def over(vocabulary: dict[str, int] | None) -> Tokenizer:
        made = Tokenizer(models.WordPiece(vocabulary, unk_token=marks["unk_token"]))
        made.normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        return made

    learner = over(None)
    characters, inner = _characters(learner, texts, int(size * _CHARACTERS_SHARE["wordpiece"]) - len(marks))
    # The trainer numbers what it finds by itself in an order of chance, and ties are broken by number: name it all.
    known = [*marks.values(), *(f"##{character}" for character in inner)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=_LEAST_OFTEN,
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        special_tokens=known,
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    tokenizer = over(learner.get_vocab())
    number = tokenizer.get_vocab()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", number["[SEP]"]), ("[CLS]", number["[CLS]"]))
    return _for_transformers(tokenizer, marks)


def _characters(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> tuple[list[str], list[str]]:
    """The characters seen most often and, of them, those that stand inside words; together ``most`` at most."""
    seen, inside = Counter[str](), set[str]()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            seen.update(word)
            inside.update(word[1:])
    chosen: list[str] = []
    room = most
    for character in sorted(seen, key=lambda one: (-seen[one], one)):
        room -= 1 + (character in inside)
        if room < 0:
            break
        chosen.append(character)
    return sorted(chosen), sorted(inside.intersection(chosen))


def _bpe(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    marks = {"pad_token": "<|pad|>", "bos_token": "<|start|>", "eos_token": "<|end|>"}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=_LEAST_OFTEN,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(marks.values()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    around = [(name, tokenizer.token_to_id(name)) for name in ("<|start|>", "<|end|>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|start|> $A <|end|>", pair="<|start|> $A $B <|end|>", special_tokens=around
    )
    return _for_transformers(tokenizer, marks)


def _for_transformers(tokenizer: Tokenizer, marks: dict[str, str]) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks)
