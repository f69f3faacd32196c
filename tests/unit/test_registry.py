import pytest

from aisle import registry
from aisle.errors import ConfigError, ContractError


def test_an_unknown_source_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown source 'populer'\. Did you mean 'popular'\?"):
        registry.find("aisle.sources", "populer")


def test_a_plug_in_that_does_not_import_is_named(monkeypatch):
    from importlib.metadata import EntryPoint, EntryPoints

    broken = EntryPoints([EntryPoint("mine", "no_such_package.sources:Mine", "aisle.sources")])
    monkeypatch.setattr(registry, "entry_points", lambda group: broken)

    with pytest.raises(ContractError, match="'mine'.*does not load"):
        registry.find("aisle.sources", "mine")
