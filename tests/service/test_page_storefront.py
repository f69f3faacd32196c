"""The storefront in process: links, words, escaping, headers, events, forms."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser
from starlette.testclient import TestClient

import aisle.serving
from aisle.domain import EventType, Item, ItemText
from aisle.serving.html.prices import price
from aisle.serving.storefront.basket import Basket
from aisle.serving.storefront.visit import safe_path
from aisle.settings import ServingConfig
from tests.service.tiny_server import in_process

SERVING = Path(aisle.serving.__file__).parent
HERE = {"sec-fetch-site": "same-origin"}
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'


@pytest.fixture
def shop_page(trained_folder, tmp_path):
    """A visitor of a shop of the test's own."""
    with in_process(trained_folder, tmp_path / "shop") as client:
        yield client


def shop_of(client: TestClient):
    return client.app.state.serving.shop


def page(client: TestClient, address: str, status: int = 200, **headers: str) -> HTMLParser:
    response = client.get(address, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("text/html")
    return HTMLParser(response.text)


def send(client: TestClient, path: str, **form: object):
    return client.post(path, data=form, headers=HERE)


def events(client: TestClient, kind: EventType | None = None):
    """What visitors did, oldest first; the tiny shop's own events left out."""
    rows = [row for row in shop_of(client).list_events(limit=500).rows if not (row.event_id or "").startswith("tiny-")]
    return [row for row in reversed(rows) if kind is None or row.type is kind]


def titles(html: HTMLParser, of: str = ".card") -> list[str]:
    return [node.text(strip=True) for node in html.css(f"{of} > a")]


@pytest.mark.parametrize("address", ["/", "/search?q=tea", "/browse?category=Kitchen", "/item/kettle", "/basket"])
def test_every_page_is_guarded_and_small(http, address):
    response = http.get(address)

    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert len(response.content) < 60_000
    html = HTMLParser(response.text)
    assert not [tag for tag in html.css("script") if tag.text().strip()], "a script inside the page"
    assert not html.css("[style], [onclick], style")


def test_every_link_and_file_of_a_page_leads_somewhere(http):
    html = page(http, "/item/kettle")
    addresses = {node.attributes["href"] for node in html.css("a[href], link[href]")}
    addresses |= {node.attributes["src"] for node in html.css("[src]")}

    for address in addresses - {"#content"}:
        assert http.get(address).status_code == 200, address


def test_files_of_the_page_are_kept_for_good_under_the_name_of_their_content(http):
    address = page(http, "/").css_first("link[rel=stylesheet]").attributes["href"]

    assert "immutable" in http.get(address).headers["cache-control"]
    assert http.get("/static/another/shop.css").headers["cache-control"] == "no-cache"
    assert http.get("/static/x/secret.txt").status_code == 404


def test_a_search_finds_counts_and_narrows(http):
    html = page(http, "/search?q=tea")
    assert any("Longjing" in title for title in titles(html))
    brand = next(node for node in html.css(".facets a") if "Hillside" in node.text())

    narrowed = page(http, brand.attributes["href"])
    assert titles(narrowed)
    assert all("Hillside" in title for title in titles(narrowed) if "tea" in title.lower() and "," in title)
    chip = narrowed.css_first(".chips a")
    assert "Hillside" in chip.text()
    assert len(titles(page(http, chip.attributes["href"]))) == len(titles(html))


def test_a_category_is_narrowed_and_every_limit_can_be_taken_back(http):
    html = page(http, "/browse?category=Kitchen&brand=Maple&min=20&max=30&stock=1")
    assert ["teapot" in title for title in titles(html)] == [True]
    chips = [node for node in html.css(".chips a") if node.attributes.get("class") != "plain"]
    assert [chip.text(strip=True).rstrip("×").strip() for chip in chips] == [
        "Maple",
        "$20.00 to $30.00",
        "In stock only",
    ]

    for chip in chips:
        assert "category=Kitchen" in chip.attributes["href"]
        assert len(page(http, chip.attributes["href"]).css(".chips a")) == 3


def chosen(html: HTMLParser, of: str) -> dict[str, str]:
    """Addresses of the chosen values of a facet by their first word."""
    return {node.text().split()[0]: node.attributes["href"] for node in html.css(f".{of} a.chosen")}


def test_what_is_chosen_is_taken_back_where_it_was_chosen(http):
    html = page(http, "/search?q=tea&category=Kitchen&brand=Maple&brand=Hillside&stock=1")

    assert chosen(html, "one") == {"Kitchen": "/search?q=tea&brand=Maple&brand=Hillside&stock=1"}
    assert chosen(html, "many")["Maple"] == "/search?q=tea&category=Kitchen&brand=Hillside&stock=1"
    assert chosen(html, "many")["In"] == "/search?q=tea&category=Kitchen&brand=Maple&brand=Hillside"
    inner = page(http, "/browse?category=Kitchen+%3E+Kettles")
    assert chosen(inner, "one") == {"Kettles": "/browse?category=Kitchen"}


def test_what_is_chosen_can_be_taken_back_although_nothing_is_left(http):
    html = page(http, "/search?q=tea&category=Kitchen+%3E+Kettles&brand=Maple&min=9000")

    assert html.css_first(".relaxed")
    assert chosen(html, "one") == {"Kettles": "/search?q=tea&category=Kitchen&brand=Maple&min=9000"}
    assert "Maple" in chosen(html, "many")


def test_values_of_a_facet_beyond_the_first_are_folded_away_unless_chosen(shop_page):
    shop_of(shop_page).add_items(
        [Item(f"b{n}", (ItemText("en", f"Boat {n}"),), brand=f"Boatyard {n}", category=("Boats",)) for n in range(15)]
    )
    html = page(shop_page, "/browse?category=Boats")
    folded = html.css("details.rest a")
    assert len(folded) == 5
    assert "5 more" in html.css_first("details.rest summary").text()
    assert "open" not in html.css_first("details.rest").attributes

    brands = "&".join(f"brand=Boatyard+{n}" for n in range(15))
    assert "open" in page(shop_page, f"/browse?category=Boats&{brands}").css_first("details.rest").attributes


def test_a_list_that_only_its_meaning_found_says_so(http):
    assert "closest in meaning" in page(http, "/search?q=footwear").css_first(".heading").text()
    assert "closest in meaning" not in page(http, "/search?q=kettle").css_first(".heading").text()


def test_prices_bound_and_order_a_list(http):
    rising = page(http, "/browse?sort=price-up&min=20&max=80")
    amounts = [
        float(node.text(strip=True)[1:]) for node in rising.css(".card .price") if node.text(strip=True)[:1] == "$"
    ]

    assert amounts == sorted(amounts)
    assert amounts
    assert min(amounts) >= 20
    assert max(amounts) <= 80


def test_what_is_out_of_stock_is_found_marked_and_left_out_on_demand(http):
    assert any("camera" in title for title in titles(page(http, "/search?q=camera"), ".card.out"))
    assert not any("camera" in title for title in titles(page(http, "/search?q=camera&stock=1")))
    assert not page(http, "/item/camera").css("form.buy")


def test_nothing_found_helps(http):
    html = page(http, "/search?q=kettle&min=9000")

    assert "leave out: price" in html.css_first(".relaxed").text()
    assert any("kettle" in title for title in titles(html))
    assert (
        "价格" in page(http, "/search?q=kettle&min=9000", **{"accept-language": "zh-CN"}).css_first(".relaxed").text()
    )
    assert page(http, "/browse?min=9000").css_first(".nothing a.button").attributes["href"] == "/browse"


def test_facets_of_attributes_prices_and_pages_are_links(http):
    html = page(http, "/search?q=tea+kettle+boots")

    assert page(http, "/search?q=kettle+boots&has=colour%3Ared").css_first(".chips a").text().startswith("colour: red")
    bars = [link.attributes["href"] for link in html.css(".bars a")]
    assert len(bars) > 1
    assert titles(page(http, bars[0]))
    assert "<mark>kettle</mark>" in html.html


def test_a_list_longer_than_a_page_goes_on_behind_a_link(http, monkeypatch):
    monkeypatch.setattr("aisle.serving.storefront.list_pages.SIZE", 4)
    first = page(http, "/browse")
    second = page(http, first.css_first("a[rel=next]").attributes["href"])

    assert len(titles(first)) == 4
    assert not set(titles(first)) & set(titles(second))
    assert second.css_first("nav.more a").attributes["href"] == "/browse"
    assert titles(page(http, "/browse?after=nonsense")) == titles(first)


def test_both_languages_have_the_same_words_and_templates_use_no_other():
    for package in ("storefront", "status"):
        tables = tomllib.loads((SERVING / package / "words.toml").read_text(encoding="utf-8"))
        assert tables["en"].keys() == tables["zh"].keys()
        gaps = {key: set(re.findall(r"\{\w+\}", text)) for key, text in tables["en"].items()}
        assert gaps == {key: set(re.findall(r"\{\w+\}", text)) for key, text in tables["zh"].items()}
        for template in (SERVING / package / "templates").glob("*.html"):
            used = set(re.findall(r"\bw\('([\w-]+)'\s*[,)]", template.read_text(encoding="utf-8")))
            assert used <= tables["en"].keys(), template.name


def test_the_language_follows_the_browser_and_then_the_switch(shop_page):
    assert "zh-CN" in shop_page.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    html = page(shop_page, "/item/green-tea", **{"accept-language": "zh-CN"})
    assert "龙井" in html.css_first("h1").text()
    assert "US$18.99" in html.css_first(".about .price").text()

    assert send(shop_page, "/language", language="zh", back="/item/green-tea").url.path == "/item/green-tea"
    assert "龙井" in page(shop_page, "/item/green-tea").css_first("h1").text()


def test_names_are_translated_by_the_shops_own_file(trained_folder, tmp_path):
    with in_process(trained_folder, tmp_path / "shop") as client:
        shop_of(client).folder.names.write_text('[zh]\nKitchen = "厨房"\nMaple = "枫叶"\n', encoding="utf-8")
        html = page(client, "/browse?category=Kitchen", **{"accept-language": "zh"})

        assert html.css_first("h1").text() == "厨房"
        assert "枫叶" in [node.text(strip=True) for node in html.css(".card .brand")]


@pytest.mark.parametrize(
    ("amount", "currency", "language", "shown"),
    [
        (129900, "USD", "en", "$1,299.00"),
        (129900, "USD", "zh", "US$1,299.00"),
        (129900, "CNY", "zh", "¥1,299.00"),
        (129900, "CNY", "en", "CN¥1,299.00"),
        (1299, "JPY", "en", "¥1,299"),
        (12500, "KWD", "en", "KWD\N{NO-BREAK SPACE}12.500"),
        (5, None, "en", "0.05"),
    ],
)
def test_prices_are_written_as_readers_do(amount, currency, language, shown):
    assert price(amount, currency, language) == shown


def test_what_is_shown_opened_and_looked_at_becomes_events_of_the_list(shop_page):
    html = page(shop_page, "/search?q=kettle")
    seen = events(shop_page, EventType.IMPRESSION)
    assert len(seen) == len(html.css(".card"))
    assert [event.slot for event in seen] == list(range(len(seen)))
    slate = shop_of(shop_page).read_slate(seen[0].slate_id)
    assert [event.item_id for event in seen] == list(slate.item_ids)
    assert events(shop_page, EventType.SEARCH)[0].query == "kettle"

    page(shop_page, html.css_first(".card > a").attributes["href"])
    page(shop_page, html.css_first(".card > a").attributes["href"])
    clicks = events(shop_page, EventType.CLICK)
    assert [(click.slate_id, click.slot, click.item_id) for click in clicks] == [(slate.slate_id, 0, slate.item_ids[0])]
    assert events(shop_page, EventType.VIEW)[0].item_id == slate.item_ids[0]


def test_events_of_the_pages_are_counted(shop_page):
    page(shop_page, "/item/kettle")

    told = shop_page.app.state.serving.metrics.text().decode()
    counted = float(re.search(r'aisle_events_total\{outcome="new"\} (\S+)', told).group(1))
    assert counted == len(events(shop_page))


def test_the_next_page_reflects_what_was_just_done(shop_page):
    assert not page(shop_page, "/").css("#shelf-recently-viewed")

    page(shop_page, "/item/umbrella")

    html = page(shop_page, "/")
    assert html.css("#shelf-recently-viewed")
    assert any("umbrella" in title for title in titles(html))


def test_a_list_shown_in_another_order_teaches_nothing(shop_page):
    page(shop_page, "/search?q=tea&sort=price-up")

    assert not events(shop_page, EventType.IMPRESSION)
    assert not events(shop_page, EventType.SEARCH)


def test_the_basket_counts_completes_and_becomes_a_purchase(shop_page):
    assert send(shop_page, "/basket", item="kettle", add=2, back="/basket").url.path == "/basket"
    html = page(shop_page, "/basket")
    assert html.css_first(".count").text() == "2"
    assert "$79.98" in html.css_first(".sum").text()
    assert any("Longjing" in title for title in titles(html))

    send(shop_page, "/basket", item="kettle", quantity=1)
    send(shop_page, "/basket", item="camera", add=1)  # out of stock
    assert page(shop_page, "/basket").css_first(".count").text() == "1"
    assert "thanks" in send(shop_page, "/checkout").url.path

    kinds = [event.type for event in events(shop_page) if event.type is not EventType.IMPRESSION]
    assert kinds == [EventType.ADD_TO_CART, EventType.REMOVE_FROM_CART, EventType.PURCHASE]
    bought = events(shop_page, EventType.PURCHASE)[0]
    assert (bought.item_id, bought.quantity, bought.price_minor, bought.currency) == ("kettle", 1, 3999, "USD")
    assert bought.basket_id
    assert page(shop_page, "/basket").css(".nothing")


def test_adding_from_a_list_names_the_list(shop_page):
    html = page(shop_page, "/search?q=kettle")
    opened = page(shop_page, html.css_first(".card > a").attributes["href"])
    form = {node.attributes["name"]: node.attributes["value"] for node in opened.css("form.buy input")}

    send(shop_page, "/basket", add=1, **form)

    assert events(shop_page, EventType.ADD_TO_CART)[0].slate_id == form["list"]


def test_nobody_is_somebody_until_switched(shop_page):
    page(shop_page, "/item/kettle")
    visitor = events(shop_page)[0].user_id
    assert re.fullmatch(r"visitor-[0-9a-f]{32}", visitor)

    send(shop_page, "/user", user="eve")
    assert any("umbrella" in title for title in titles(page(shop_page, "/")))
    page(shop_page, "/item/boots")
    assert events(shop_page, EventType.VIEW)[-1].user_id == "eve"

    send(shop_page, "/user", user="")
    page(shop_page, "/item/boots")
    assert events(shop_page, EventType.VIEW)[-1].user_id not in (visitor, "eve")


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_a_form_of_another_site_does_nothing(shop_page, headers):
    response = shop_page.post("/basket", data={"item": "kettle", "add": 1}, headers=headers)

    assert response.status_code == 403
    assert "text/html" in response.headers["content-type"]
    assert not events(shop_page, EventType.ADD_TO_CART)


def test_a_form_of_this_very_host_is_taken_from_older_browsers(shop_page):
    headers = {"origin": "http://127.0.0.1"}

    assert shop_page.post("/basket", data={"item": "kettle", "add": 1}, headers=headers).status_code == 200
    assert events(shop_page, EventType.ADD_TO_CART)


@pytest.mark.parametrize(
    "address", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb", "x", ""]
)
def test_nobody_is_led_to_another_site(shop_page, address):
    assert safe_path(address) == "/"
    response = shop_page.post(
        "/language", data={"language": "zh", "back": address}, headers=HERE, follow_redirects=False
    )
    assert response.headers["location"] == "/"


def test_cookies_stay_with_the_site_and_away_from_scripts(shop_page):
    told = shop_page.get("/").headers.get_list("set-cookie")

    assert told
    assert all("HttpOnly" in cookie and "SameSite=lax" in cookie for cookie in told)


@pytest.mark.parametrize("cookie", ["x", "W10=", "e30=", "W1sia2V0dGxlIiwgLTNdXQ==", "W1sxLDJdXQ==", "%%%", "A" * 9000])
def test_a_spoilt_basket_is_an_empty_one(cookie):
    assert Basket.read(cookie) == Basket()


def test_a_basket_holds_no_more_than_a_cookie_does():
    basket = Basket()
    for place in range(100):
        basket = basket.put(f"item-{place}-" + "x" * 60, 1)

    assert 0 < len(basket.lines) < 100
    assert Basket.read(basket.write()) == basket


def test_nothing_of_an_item_or_a_query_becomes_markup(shop_page):
    shop = shop_of(shop_page)
    shop.add_items(
        [
            Item(
                'evil/"item',
                (ItemText("en", f"zebra {EVIL}", EVIL),),
                brand=EVIL,
                category=(EVIL, "Zebras"),
                attributes={EVIL: (EVIL,)},
                price_minor=100,
                currency="USD",
                image="javascript:alert(3)",
            )
        ]
    )
    search = page(shop_page, "/search?q=zebra")
    link = next(node for node in search.css(".card > a") if "zebra" in node.text())
    pages = [search, page(shop_page, link.attributes["href"]), page(shop_page, "/search", 200)]
    send(shop_page, "/basket", item='evil/"item', add=1)
    pages += [page(shop_page, "/basket"), HTMLParser(shop_page.get("/search", params={"q": EVIL, "brand": EVIL}).text)]
    pages += [HTMLParser(shop_page.get("/suggestions", params={"q": "zeb"}).text), page(shop_page, "/categories")]
    send(shop_page, "/user", user=EVIL)
    pages += [page(shop_page, "/")]

    for html in pages:
        assert not html.css("[onerror]")
        assert all(not tag.text().strip() for tag in html.css("script"))
        assert not [node for node in html.css("[src], [href]") if "javascript:" in str(node.attributes)]
        assert "49" not in html.body.text().replace("$", "") or "{{ 7" in html.body.text()


def test_pictures_run_nothing_and_lie_in_their_folder(shop_page, tmp_path):
    folder = shop_of(shop_page).folder
    folder.pictures.mkdir()
    (folder.pictures / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")

    shown = shop_page.get("/pictures/a.svg")
    assert "<script>" in shown.text
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    for path in ("..%2Faisle.toml", "../shop.db", "a.html", "%2Fetc%2Fpasswd"):
        answer = shop_page.get(f"/pictures/{path}?else=12/%3Cscript%3E")
        assert "sqlite" not in answer.text.lower()
        assert "[shop]" not in answer.text
        assert "<script>" not in answer.text


def test_suggestions_are_a_piece_of_a_page(http):
    html = HTMLParser(http.get("/suggestions?q=kett").text)

    assert any("kettle" in node.attributes["data-text"].lower() for node in html.css("li a"))
    assert http.get("/suggestions?q=").text.strip() == ""


def test_every_list_tells_why(http):
    html = page(http, "/search?q=kettle")
    told = html.css_first("details.why").text()

    assert "Found by" in told
    assert "words" in told
    assert re.search(r"\d+%", told), "shares of the sources"
    assert re.search(r"Made in \d+\.\d ms", told)
    assert re.search(r"rank \d+\.\d ms", told), "the stages"
    assert "lexical" in told, "versions"


def test_what_is_not_there_is_a_page_to_people_and_a_problem_to_programs(http):
    html = page(http, "/nowhere", 404)
    assert html.css_first("h1").text() == "There is no such page"
    assert page(http, "/item/unknown", 404).css(".around a")

    assert http.get("/v1/nowhere").headers["content-type"] == "application/problem+json"
    assert http.get("/v1/search").status_code == 405


def test_a_category_that_is_gone_is_not_found_and_a_brand_that_is_gone_is_passed_over(http):
    assert page(http, "/browse?category=Gone", 404).css(".around a")
    assert titles(page(http, "/browse?brand=Gone&brand=Maple"))


def test_a_failure_is_a_friendly_page_with_the_requests_number(shop_page, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(shop_of(shop_page), "read_items", fail)
    response = shop_page.get("/item/kettle", headers={"x-request-id": "abc-123"})

    assert response.status_code == 500
    assert "secret" not in response.text
    number = response.headers["x-request-id"]
    assert number in HTMLParser(response.text).css_first(".note").text()


@pytest.mark.parametrize(
    "query", ["q=" + "x" * 900, "n=99999999999", "min=nan&max=inf", "min=-5", "sort=no", "brand=&brand=x", "q=%00%ff"]
)
def test_odd_addresses_are_read_with_distrust(http, query):
    assert http.get(f"/search?{query}").status_code == 200


@pytest.mark.parametrize("name", ["a%00.svg", "x" * 3_000 + ".svg", "none.svg"])
def test_a_name_that_is_no_picture_gets_a_drawing(http, name):
    response = http.get(f"/pictures/{name}")

    assert response.status_code == 200
    assert response.headers["content-type"] == "image/svg+xml"


def test_a_language_is_switched_on_the_page_of_an_item_with_a_chinese_id(shop_page):
    shop_of(shop_page).add_items([Item("钢笔 1", (ItemText("zh", "钢笔"),))])
    html = page(shop_page, "/item/钢笔 1")
    here = html.css_first("input[name=back]").attributes["value"]

    response = shop_page.post("/language", data={"language": "zh", "back": here}, headers=HERE, follow_redirects=False)

    assert response.headers["location"] == here
    assert "钢笔" in page(shop_page, response.headers["location"]).body.text()


def test_a_form_that_is_too_long_is_said_to_be(trained_folder, tmp_path):
    config = ServingConfig(max_body_bytes=2_048)
    with in_process(trained_folder, tmp_path / "shop", config=config) as client:
        response = client.post("/basket", data={"item": "x" * 5_000}, headers=HERE)

    assert response.status_code == 413


def test_a_price_in_the_query_is_said_to_limit_the_list(http):
    typed = page(http, "/search?q=kettle+under+40+dollars").css_first(".typed")

    assert typed.text() == "Prices up to 40.00 USD, as you typed."
    assert page(http, "/search?q=kettle+under+40+dollars&max=50").css_first(".typed") is None
    assert page(http, "/search?q=kettle").css_first(".typed") is None
