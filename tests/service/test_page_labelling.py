"""The page on which a person labels: what it shows is text, what it takes is saved, and other sites cannot use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright
from starlette.testclient import TestClient

from aisle.ingest.label_book import LabelBook
from aisle.serving.labelling import label_app
from tests.service.test_page_browser import CHROMIUM, FLAGS

EVIL = "<img src=x onerror=\"document.title='taken'\"></script><b>很好</b>"
TEXTS = [EVIL, "很差", "不错"]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[LabelBook]:
    with LabelBook(tmp_path / "labels.csv", ["bad", "<i>good</i>"]) as opened:
        opened.ask(TEXTS)
        yield opened


@pytest.fixture
def client(book: LabelBook) -> TestClient:
    return TestClient(label_app(book), base_url="http://127.0.0.1:8765")


def test_the_page_speaks_the_language_that_is_asked_for(client: TestClient) -> None:
    english = client.get("/", headers={"accept-language": "de, en;q=0.5"})
    chinese = client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert 'lang="en"' in english.text
    assert "Press the key" in english.text
    assert 'lang="zh-CN"' in chinese.text
    assert "按下标签对应的键" in chinese.text
    assert 'lang="zh-CN"' in client.get("/?language=zh", headers={"accept-language": "en"}).text
    assert "default-src 'none'" in english.headers["content-security-policy"]
    assert EVIL not in english.text
    for name in ("label.js", "label.css", "icon.svg"):
        address = next(part for part in english.text.split('"') if part.endswith(name))
        assert client.get(address).status_code == 200


def test_answers_are_saved_one_by_one_and_taken_back(client: TestClient, tmp_path: Path) -> None:
    told = client.get("/standing").json()
    assert told["text"] == EVIL
    assert told["keys"] == [["1", "bad"], ["2", "<i>good</i>"]]
    assert (told["n_labelled"], told["n_open"]) == (0, 3)

    told = client.post("/say", json={"text": EVIL, "label": "bad"}).json()
    assert (told["text"], told["counts"]) == ("很差", {"bad": 1, "<i>good</i>": 0})
    assert client.post("/skip", json={"text": "很差"}).json()["text"] == "不错"
    assert client.post("/undo", json={}).json()["text"] == "很差"
    assert client.post("/undo", json={}).json()["text"] == EVIL
    assert (tmp_path / "labels.csv").read_text() == "text,label\n"


def test_what_is_wrong_is_refused_and_the_standing_is_told_all_the_same(client: TestClient) -> None:
    client.post("/say", json={"text": EVIL, "label": "bad"})
    twice = client.post("/say", json={"text": EVIL, "label": "bad"})
    assert (twice.status_code, twice.json()["text"]) == (409, "很差")
    assert "not the one asked about" in twice.json()["problem"]
    assert client.post("/say", json={"text": "很差", "label": "sad"}).status_code == 409
    assert client.post("/say", json={"text": "很差"}).status_code == 422
    assert client.post("/say", json=[1]).status_code == 422
    assert client.post("/burn", json={"text": "很差"}).status_code == 422
    assert client.post("/say", content=b"{", headers={"content-type": "application/json"}).status_code == 422


def test_other_sites_cannot_label(client: TestClient, book: LabelBook) -> None:
    form = client.post("/say", content=b'{"text":"x","label":"bad"}', headers={"content-type": "text/plain"})
    assert form.status_code == 415
    assert client.get("/standing", headers={"host": "evil.example"}).status_code == 400
    asked = client.options("/say", headers={"origin": "https://evil.example", "access-control-request-method": "POST"})
    assert "access-control-allow-origin" not in asked.headers
    assert book.n_labelled == 0


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; `apt-get install chromium` brings it")
def test_a_person_labels_with_the_keyboard(book: LabelBook) -> None:
    server = uvicorn.Server(uvicorn.Config(label_app(book), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_context(locale="zh-CN").new_page()
            page.set_default_timeout(30_000)
            complaints: list[str] = []
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.goto(address)
            expect(page.locator("#text")).to_have_text(EVIL)
            expect(page.locator("#labels button")).to_have_text(["bad1", "<i>good</i>2"])
            page.keyboard.press("2")
            expect(page.locator("#text")).to_have_text("很差")
            page.keyboard.press("s")
            page.get_by_role("button", name="bad").click()
            expect(page.locator("#text")).to_contain_text("已全部标注")
            page.keyboard.press("u")
            expect(page.locator("#text")).to_have_text("不错")
            expect(page).to_have_title("标注文本")
            assert not complaints
            browser.close()
    finally:
        server.should_exit = True
        thread.join()
    assert dict(book.said) == {EVIL: "<i>good</i>"}
