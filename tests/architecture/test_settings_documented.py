"""Every setting has a docstring where it is defined, and its default on docs/settings.md in both languages."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from aisle import registry, settings
from aisle.language.adapt_config import AdaptConfig, ContrastConfig, MaskingConfig
from aisle.language.adapter_config import AdapterConfig
from aisle.language.compress_config import CompressConfig
from aisle.language.finetune_config import FinetuneConfig
from aisle.language.new_model import NewModelConfig
from aisle.language.pretrain_config import PretrainConfig
from aisle.language.rewriting import RewritingConfig
from aisle.language.views import PieceConfig, ViewConfig
from aisle.settings import DEFAULT_PLACEMENTS, Config
from aisle.training.config import TrainingConfig
from aisle.understanding import UnderstandingConfig

PROJECT = Path(__file__).resolve().parents[2]
PAGES = ("settings.md", "settings.zh-CN.md")
TABLES: dict[str, type[Config]] = {
    "shop": settings.ShopConfig,
    "encoder": settings.EncoderConfig,
    "encoder.ray": settings.RayEncodingConfig,
    "chat": settings.ChatConfig,
    "placement.NAME": settings.PlacementConfig,
    "placement.NAME.fusion": settings.FusionConfig,
    "placement.NAME.fusion.floors.SOURCE": settings.FloorConfig,
    "placement.NAME.explore": settings.ExploreConfig,
    "ranker": registry.find("aisle.rankers", "boosted_trees").Config,
    "understanding": UnderstandingConfig,
    "adapt": AdaptConfig,
    "adapt.contrast": ContrastConfig,
    "adapt.masking": MaskingConfig,
    "adapt.pieces": PieceConfig,
    "adapt.views": ViewConfig,
    "adapt.rewriting": RewritingConfig,
    "adapt.adapter": AdapterConfig,
    "adapt.training": TrainingConfig,
    "compress": CompressConfig,
    "finetune": FinetuneConfig,
    "pretrain": PretrainConfig,
    "pretrain.model": NewModelConfig,
    "serving": settings.ServingConfig,
    **{f"source.{name}": registry.find("aisle.sources", name).Config for name in registry.registered("aisle.sources")},
}


def docstrings_of(config: type[Config]) -> dict[str, str]:
    """The string that follows each field, its ancestors' too."""
    ancestors = [kind for kind in config.__mro__ if issubclass(kind, Config)]
    return {name: text for kind in reversed(ancestors) for name, text in own_docstrings_of(kind).items()}


def own_docstrings_of(config: type[Config]) -> dict[str, str]:
    """The string that follows each field of the class itself."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        first.target.id: second.value.value
        for first, second in zip(body.body, body.body[1:], strict=False)
        if isinstance(first, ast.AnnAssign)
        and isinstance(first.target, ast.Name)
        and isinstance(second, ast.Expr)
        and isinstance(second.value, ast.Constant)
        and isinstance(second.value.value, str)
    }


def section(page: str, table: str) -> dict[str, list[str]]:
    """The rows of the table under the heading ``[table]``: setting to its cells."""
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^## `\[{re.escape(table)}\]`.*?\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    assert found, f"{page} has no section [{table}]"
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", found.group(1), re.M)
    return {name: cells.split(" | ") for name, cells in rows}


def shown(value: object) -> str:
    """A default as TOML would write it, as the pages show it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Config):
        return "table"
    if isinstance(value, dict):
        return "table" if value else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(shown(one) for one in value) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:g}" if isinstance(value, float) and value != int(value) else str(value)


@pytest.mark.parametrize("table", TABLES)
def test_every_setting_has_a_docstring(table: str) -> None:
    config = TABLES[table]
    documented = docstrings_of(config)
    undocumented = [name for name in config.model_fields if name not in documented and config is not settings.Settings]
    assert not undocumented


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("table", TABLES)
def test_every_setting_is_on_the_page_with_its_default(table: str, page: str) -> None:
    rows = section(page, table)
    fields = TABLES[table].model_fields
    assert set(rows) == set(fields)
    for name, field in fields.items():
        wanted = "required" if field.is_required() else shown(field.get_default(call_default_factory=True))
        told = rows[name][0].strip("`").replace("必填", "required").replace("表", "table")
        assert told == wanted, f"{page}: {table}.{name} is said to default to {told}"
        assert len(rows[name][-1]) > 3


@pytest.mark.parametrize("page", PAGES)
def test_every_placement_and_source_is_on_the_page(page: str) -> None:
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    for placement in DEFAULT_PLACEMENTS:
        assert f"`{placement}`" in text
    for kind in [*registry.registered("aisle.encoders"), *registry.registered("aisle.chat_models")]:
        assert f"`{kind}`" in text
