import tomllib

import pytest

from aisle.domain import ItemKind
from aisle.errors import ConfigError
from aisle.folder import ShopFolder, default_toml, init
from aisle.settings import Settings


def parse(text: str) -> Settings:
    return Settings.parse(tomllib.loads(text), "")


def test_an_empty_file_gives_the_usual_placements():
    settings = parse("")

    assert {"search", "recommended-for-you", "similar-items", "frequently-bought-together"} <= set(settings.placement)
    assert settings.shop.currency == "USD"


def test_a_table_changes_a_placement_and_keeps_its_other_defaults():
    settings = parse('[placement.search]\nsize = 7\n[placement.home]\nsources = ["popular"]\nkinds = ["article"]')

    assert settings.placement["search"].size == 7
    assert settings.placement["search"].sources == Settings().placement["search"].sources
    assert settings.placement["home"].kinds == (ItemKind.ARTICLE,)


def test_a_table_inside_a_placement_changes_only_what_it_names():
    usual = Settings().placement["search"].fusion

    fusion = parse("[placement.search.fusion]\nrank_constant = 30").placement["search"].fusion

    assert fusion == usual.model_copy(update={"rank_constant": 30.0})
    assert fusion.method == "scaled"


def test_other_sources_leave_the_usual_weights_of_those_gone_behind():
    fusion = parse('[placement.search]\nsources = ["lexical", "popular"]').placement["search"].fusion

    assert fusion.weights == {"lexical": 1.0}
    assert set(fusion.floors) == {"lexical"}
    assert fusion.method == "scaled"
    without = parse("[placement.search.fusion]\nfloors = {}").placement["search"].fusion
    assert (without.floors, set(without.weights)) == ({}, {"lexical", "semantic"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("placement = 3", "placement = 3"),
        ("[placement]\nsearch = 5", "placement.search = 5"),
        ("[shop]\nlanguages = []", "shop.languages"),
        ("[shop]\nlanguages = ['']", "shop.languages"),
        ("[shop]\ncurency = 'EUR'", "Did you mean 'currency'"),
        ("[shop]\ncurrency = 'euros'", "shop.currency = 'euros'"),
        ("[shop]\ncurrency = 'eur'", "shop.currency = 'eur': .*three capitals such as EUR"),
        (
            "[placement.home]\nsources = ['popular']\n[placement.home.fusion]\nweights = { populer = 2.0 }",
            "placement.home: fusion.weights: unknown source of this placement 'populer'. Did you mean 'popular'",
        ),
        (
            "[placement.search]\nsources = ['lexical']\nfusion = { weights = { semantic = 1 } }",
            "placement.search: fusion.weights: unknown source of this placement 'semantic'",
        ),
        (
            "[placement.search.fusion.floors.semantik]\nleast = 0.4",
            "placement.search: fusion.floors: unknown source of this placement 'semantik'. Did you mean 'semantic'",
        ),
        ("[placement.search.fusion.floors.semantic]\nshare = 2", "placement.search.fusion.floors.semantic.share = 2"),
        ("[placement.search]\nsources = ['lexical']\nfusion = 5", "placement.search.fusion = 5"),
        ("[placement.home]\nsize = 3", "placement.home.sources"),
        ("[placement.home]\nsources = ['popular']\nsize = 0", "placement.home.size = 0"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_a_currency_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="XXQ is no currency of ISO 4217"):
        init(tmp_path / "shop", name="Shop", currency="XXQ")
    assert not (tmp_path / "shop" / "aisle.toml").exists()


def test_init_writes_settings_that_read_back(tmp_path):
    made = init(tmp_path / "shop", name='Café "北京"', currency="CNY", languages=("zh", "en"))

    settings = made.read_settings()
    assert (settings.shop.name, settings.shop.currency, settings.shop.languages) == ('Café "北京"', "CNY", ("zh", "en"))
    assert Settings.parse(tomllib.loads(default_toml("a", "USD", ("en",))), "").shop.name == "a"


def test_init_leaves_a_used_folder_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")

    with pytest.raises(ConfigError, match="not an empty folder"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_init_writes_nothing_when_a_setting_is_wrong(tmp_path):
    with pytest.raises(ConfigError, match="shop.currency"):
        init(tmp_path / "shop", currency="dollars")
    assert not (tmp_path / "shop").exists()


def test_a_folder_that_is_no_shop_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="aisle init"):
        ShopFolder(tmp_path).read_settings()
    (tmp_path / "aisle.toml").write_text("[shop\n")
    with pytest.raises(ConfigError, match="not TOML"):
        ShopFolder(tmp_path).read_settings()


def test_a_file_where_a_folder_should_be_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(ConfigError, match="make a shop"):
        ShopFolder(tmp_path / "file").read_settings()
    with pytest.raises(ConfigError, match="cannot be made in .*Not a directory"):
        init(tmp_path / "file" / "shop")
    (tmp_path / "aisle.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        ShopFolder(tmp_path).read_settings()
