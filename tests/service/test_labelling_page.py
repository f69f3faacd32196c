"""The page labels, undoes, refuses foreign hosts and forms, and shows texts as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from aisle.ingest.label_book import LabelBook
from aisle.ingest.text_tables import read_table
from aisle.serving.labelling import label_app

TEXTS = ["<img src=x onerror=alert(1)>", "很好", "bad fit"]


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return TestClient(
        label_app(LabelBook(TEXTS, ("bad", "good"), tmp_path / "l.csv")), base_url="http://127.0.0.1:8765"
    )


def test_a_person_labels_skips_and_undoes(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/standing").json() == {
        "text": TEXTS[0],
        "labels": ["bad", "good"],
        "counts": {"bad": 0, "good": 0},
        "n_labelled": 0,
        "n_open": 3,
    }
    assert client.post("/say", json={"text": TEXTS[0], "label": "bad"}).json()["text"] == "很好"
    assert client.post("/skip", json={"text": "很好"}).json()["text"] == "bad fit"
    assert client.post("/undo", json={}).json()["text"] == "很好"
    assert client.post("/say", json={"text": "很好", "label": "good"}).json()["n_labelled"] == 2
    assert read_table(tmp_path / "l.csv").rows() == [(TEXTS[0], "bad"), ("很好", "good")]


def test_what_is_wrong_is_told(client: TestClient) -> None:
    answer = client.post("/say", json={"text": "很好", "label": "great"})
    assert answer.status_code == 422
    assert "unknown label 'great'" in answer.json()["detail"]


def test_other_sites_cannot_label(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/say", content="text=%E5%BE%88%E5%A5%BD&label=bad", headers=form).status_code == 422
    plain = {"Content-Type": "text/plain"}
    assert client.post("/say", content='{"text":"很好","label":"bad"}', headers=plain).status_code == 422
    assert client.get("/standing").json()["n_labelled"] == 0


def test_the_page_puts_texts_in_as_text(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert "innerHTML" not in page.text
