"""A shop is one folder: where each file of it lies, and how an empty one is made."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from aisle.errors import ConfigError
from aisle.settings import Settings

DEFAULT_TOML = """\
# The settings of this shop. Every setting is explained in docs/settings.md; what is not written here has its default.

[shop]
name = {name}
currency = {currency}
languages = {languages}

[encoder]
kind = "onnx"              # the packaged MiniLM on ONNX Runtime; "transformers" or "openai" take other models
precision = "fp32"         # "int8" is faster and slightly less exact

# A placement is a place where a list is shown. The usual ones (search, recommended-for-you, similar-items,
# frequently-bought-together, buy-it-again, recently-viewed, trending, new-arrivals, popular) exist already;
# a table here changes one or adds another:
#
# [placement.home]
# sources  = ["linear", "trending", "new_arrivals"]
# backfill = ["popular"]
# kinds    = ["product", "promotion"]
# size     = 12
"""


@dataclass(frozen=True)
class ShopFolder:
    """Paths inside a shop's folder."""

    root: Path

    @property
    def settings(self) -> Path:
        """``aisle.toml``."""
        return self.root / "aisle.toml"

    @property
    def database(self) -> Path:
        """``shop.db``: items, users, events, documents, slates."""
        return self.root / "shop.db"

    @property
    def embeddings(self) -> Path:
        """``embeddings.db``: vectors by model and content; may be deleted, then texts are encoded again."""
        return self.root / "embeddings.db"

    @property
    def rewritings(self) -> Path:
        """``rewritings.db``: what a chat model made of texts; may be deleted, then it is asked again."""
        return self.root / "rewritings.db"

    @property
    def indexes(self) -> Path:
        """Lexical and vector indexes; may be deleted, then they are rebuilt."""
        return self.root / "indexes"

    @property
    def models(self) -> Path:
        """Trained models, one folder a version."""
        return self.root / "models"

    @property
    def refusals(self) -> Path:
        """Refusal reports of imports, one JSONL file each."""
        return self.root / "refusals"

    @property
    def pictures(self) -> Path:
        """Pictures of items whose ``image`` is a path below here, such as ``pictures/kettle.svg``."""
        return self.root / "pictures"

    @property
    def names(self) -> Path:
        """``names.toml``: names of categories, brands and attributes in other languages, for the shop page."""
        return self.root / "names.toml"

    def read_settings(self) -> Settings:
        """The checked settings; raises ``ConfigError`` when this is not a shop or a setting is wrong."""
        return Settings.read(self.settings)


def init(
    folder: str | Path,
    *,
    name: str = "My shop",
    currency: str = "USD",
    languages: tuple[str, ...] = ("en", "zh"),
    toml: str | None = None,
) -> ShopFolder:
    """Make an empty shop in ``folder``, which must be absent or empty; ``toml`` replaces the default settings.

    Raises:
        ConfigError: the folder holds something already, or a setting is wrong; nothing is written then.
    """
    root = Path(folder)
    try:
        is_taken = root.exists() and (not root.is_dir() or any(root.iterdir()))
    except OSError as error:
        raise _unusable(root, error) from error
    if is_taken:
        raise ConfigError(f"{root} exists and is not an empty folder; name another one, or open it if it is a shop")
    text = toml if toml is not None else default_toml(name, currency, languages)
    try:
        Settings.parse(tomllib.loads(text), "")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the settings are not TOML: {error}") from error
    made = ShopFolder(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        made.settings.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unusable(root, error) from error
    return made


def _unusable(root: Path, error: OSError) -> ConfigError:
    return ConfigError(f"a shop cannot be made in {root}: {error.strerror}; name another folder or check its disk")


def default_toml(name: str, currency: str, languages: tuple[str, ...]) -> str:
    """The text of a new ``aisle.toml``."""
    listed = ", ".join(_quoted(language) for language in languages)
    return DEFAULT_TOML.format(name=_quoted(name), currency=_quoted(currency), languages=f"[{listed}]")


def _quoted(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(character):04x}" if ord(character) < 32 or character in '"\\\x7f' else character for character in text
    )
    return f'"{escaped}"'
