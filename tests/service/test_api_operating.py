import sys

import orjson

from aisle import wire
from aisle.serving.jobs import Asked, Jobs
from aisle.testing.tiny import FrozenClock
from tests.service.tiny_server import problem, wait_until

SLOW = """#!{python}
import json, os, time
told = dict(task="learn", done=3, total=9, standing=None)
with open(os.environ["AISLE_PROGRESS_FILE"], "w") as file:
    json.dump(told, file)
time.sleep(60)
"""
"""A command that tells how far it is and is far from its end."""


def test_a_training_runs_beside_the_server_one_at_a_time(own_http):
    started = own_http.post("/v1/training", json={"names": ["popular"]})
    job = wire.Job.model_validate_json(started.content, strict=True)

    assert started.status_code == 202
    assert started.headers["location"] == f"/v1/training/{job.job_id}"
    assert problem(own_http.post("/v1/training", json={}), 409)["type"].endswith("busy")
    assert own_http.post("/v1/search", json={"query": "tea"}).status_code == 200

    wait_until(lambda: own_http.get(f"/v1/training/{job.job_id}").json()["finished_ms"] is not None, 120)
    ended = own_http.get(f"/v1/training/{job.job_id}").json()
    assert ended["status"] == "succeeded", ended
    assert [made["source"] for made in ended["trained"]] == ["popular"]
    assert own_http.get("/v1/training").json()["jobs"] == [ended]
    popular = next(m for m in own_http.get("/v1/models").json()["models"] if m["name"] == "popular")
    assert popular["versions"][-1]["version"] == ended["trained"][0]["version"]
    assert popular["versions"][-1]["is_current"]

    back = own_http.post("/v1/models/popular/rollback")
    wire.ModelVersion.model_validate_json(back.content, strict=True)
    assert back.json()["version"] == popular["versions"][0]["version"]


def test_what_cannot_be_trained_or_rolled_back_is_said(http):
    assert problem(http.post("/v1/training", json={"names": ["popula"]}), 422)["field"] == "names"
    assert "popular" in problem(http.post("/v1/models/popula/rollback"), 404)["detail"]
    assert problem(http.post("/v1/models/popular/rollback"), 409)["command"]


def test_an_unknown_job_is_not_found(http):
    for job_id in ("0" * 32, "..%2F..%2Faisle", "lock"):
        problem(http.get(f"/v1/training/{job_id}"), 404)
        problem(http.delete(f"/v1/training/{job_id}"), 404)


def test_what_would_change_nothing_is_refused(http):
    assert problem(http.post("/v1/training", json={"size": "tiny"}), 422)["field"] == "size"
    assert problem(http.post("/v1/training", json={"kind": "adapt", "names": ["popular"]}), 422)["field"] == "names"
    problem(http.post("/v1/training", json={"kind": "pretrain"}), 422)


def test_what_is_too_little_to_adapt_to_is_said(own_http):
    job = own_http.post("/v1/training", json={"kind": "adapt", "size": "tiny"}).json()
    wait_until(lambda: own_http.get(f"/v1/training/{job['job_id']}").json()["finished_ms"] is not None, 120)
    ended = own_http.get(f"/v1/training/{job['job_id']}").json()
    assert (ended["kind"], ended["status"]) == ("adapt", "failed")
    assert "pairs of texts to learn from" in ended["message"]


def test_a_job_that_runs_tells_how_far_it_is_and_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(Asked, "arguments", lambda self, shop: [])
    command = tmp_path / "command"
    command.write_text(SLOW.format(python=sys.executable))
    command.chmod(0o755)
    monkeypatch.setattr("aisle.serving.jobs.sys.executable", str(command))
    jobs = Jobs(tmp_path, FrozenClock(5))

    job = jobs.start(Asked("adapt", size="tiny"))
    wait_until(lambda: jobs.read(job.job_id).progress is not None)
    assert jobs.read(job.job_id).progress == {"task": "learn", "done": 3, "total": 9, "standing": None}
    assert jobs.stop(job.job_id).status == "running"
    wait_until(lambda: jobs.read(job.job_id).finished_ms is not None)

    ended = jobs.read(job.job_id)
    assert ended.status == "failed"
    assert "go on where they were" in ended.message
    assert jobs.stop(job.job_id) == ended
    assert jobs.stop("0" * 32) is None


def test_a_model_that_was_made_and_does_not_answer_says_why(tmp_path):
    jobs = Jobs(tmp_path, FrozenClock(5))
    jobs.folder.mkdir()
    for job_id, is_answering in (("a" * 32, True), ("b" * 32, False)):
        (jobs.folder / f"{job_id}.json").write_bytes(orjson.dumps({"kind": "adapt", "names": None, "started_ms": 9}))
        printed = {"version": "000002", "is_answering": is_answering, "metrics": {"gain": 0.25}}
        (jobs.folder / f"{job_id}.out").write_bytes(orjson.dumps(printed))
        (jobs.folder / f"{job_id}.end").write_bytes(orjson.dumps({"status": 0, "finished_ms": 10}))

    better, level = jobs.read("a" * 32), jobs.read("b" * 32)
    assert better.trained == ({"source": "encoder", "version": "000002"},)
    assert better.message is None
    assert level.trained == ()
    assert "does not answer" in level.message
    assert better.metrics == level.metrics == {"gain": 0.25}


def test_a_failed_training_says_why_and_one_whose_worker_died_is_told_by_what_it_left(tmp_path):
    jobs = Jobs(tmp_path, FrozenClock(5))
    job = jobs.start(Asked())  # there is no shop in this folder
    wait_until(lambda: jobs.read(job.job_id).finished_ms is not None)

    ended = jobs.read(job.job_id)
    assert ended.status == "failed"
    assert "aisle init" in ended.message

    for job_id, printed, status in (("a" * 32, b'{"trained": []}', "succeeded"), ("b" * 32, b"", "failed")):
        (jobs.folder / f"{job_id}.json").write_bytes(orjson.dumps({"kind": "train", "names": None, "started_ms": 9}))
        (jobs.folder / f"{job_id}.out").write_bytes(printed)
        assert jobs.read(job_id).status == status
    assert [one.job_id for one in jobs.list()] == ["a" * 32, "b" * 32, job.job_id]


def test_models_are_listed_from_their_manifests_and_the_doctor_names_what_is_damaged(own_http):
    models = own_http.app.state.serving.shop.folder.models
    [weights] = (models / "linear").glob("*/arrays.npz")
    weights.write_bytes(b"damaged")
    [manifest] = (models / "popular").glob("*/manifest.json")
    manifest.write_bytes(b"damaged")

    told = {model["name"]: model["versions"] for model in own_http.get("/v1/models").json()["models"]}

    assert [version["is_current"] for version in told["linear"]] == [True]
    assert told["popular"] == []
    found = " ".join(finding["what"] for finding in own_http.get("/v1/doctor").json()["findings"])
    assert "linear" in found
    assert "popular" in found


def test_models_doctor_and_status(http, tiny):
    models = http.get("/v1/models")
    findings = http.get("/v1/doctor")
    status = http.get("/v1/status")

    told = {model.name: model for model in wire.Models.model_validate_json(models.content, strict=True).models}
    assert [version.is_current for version in told["popular"].versions] == [True]
    assert wire.Findings.model_validate_json(findings.content, strict=True).findings
    told = wire.Status.model_validate_json(status.content, strict=True)
    assert told.counts["items"] == len(tiny.items)
    assert "recommended-for-you" in told.placements
    assert set(told.versions) >= {"lexical", "popular"}
