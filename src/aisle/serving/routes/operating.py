"""Operation: training, versions of models, the doctor, and the shop at a glance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from aisle import wire
from aisle.contracts import Manifest
from aisle.errors import CorruptError, unknown_name
from aisle.serving.answers import json_response
from aisle.serving.context import serving_of
from aisle.serving.describing import operation
from aisle.serving.jobs import Asked, BusyError, Jobs
from aisle.serving.problems import BUSY, INVALID, NOT_FOUND, NOT_READY, Problem
from aisle.serving.reading import read_body
from aisle.shop import Shop

router = APIRouter(prefix="/v1", tags=["Operating"])


@router.post(
    "/training",
    **operation("Train", wire.Job, role="admin", body=wire.TrainingAsk, problems=[BUSY, NOT_READY], status=202),
)
async def start_training(request: Request) -> Response:
    """Starts to learn from everything recorded, in a process of its own, and answers at once with the job.

    The shop goes on answering; each worker takes new versions in as they are made. One training runs at a time.
    ``kind`` adapts the language model to the shop, or compresses it; what comes of that answers only if it is good.
    """
    body = await read_body(request, wire.TrainingAsk)
    serving = serving_of(request)
    unused = ("size", body.size) if body.kind == "train" else ("names", body.names)
    if unused[1] is not None:
        raise Problem(INVALID, f"{unused[0]} changes nothing for kind {body.kind!r}; leave it out", field=unused[0])
    for name in body.names or ():
        if name not in serving.shop.trainable:
            raise Problem(INVALID, unknown_name("model", name, serving.shop.trainable), field="names")
    try:
        job = await serving.answering.run_aside(_jobs(serving.shop).start, Asked(body.kind, body.names, body.size))
    except BusyError as error:
        raise Problem(BUSY, f"training runs already as job {error.job_id}; wait for it to end") from error
    return json_response(asdict(job), 202, {"location": f"/v1/training/{job.job_id}"})


@router.get("/training", **operation("List trainings", wire.JobList, role="admin"))
async def list_trainings(request: Request) -> Response:
    """Trainings that were started here, newest first; the last 50 are kept."""
    serving = serving_of(request)
    jobs = await serving.answering.run_aside(_jobs(serving.shop).list)
    return json_response({"jobs": [asdict(job) for job in jobs]})


@router.get(
    "/training/{job_id}",
    **operation("Read a training", wire.Job, role="admin", path={"job_id": "The job's id."}, problems=[NOT_FOUND]),
)
async def read_training(request: Request) -> Response:
    """How a training goes, whichever worker started it."""
    serving = serving_of(request)
    job_id = request.path_params["job_id"]
    job = await serving.answering.run_aside(_jobs(serving.shop).read, job_id)
    if job is None:
        raise Problem(NOT_FOUND, f"there is no job {job_id[:100]!r}", field="job_id")
    return json_response(asdict(job))


@router.delete(
    "/training/{job_id}",
    **operation("Stop a training", wire.Job, role="admin", path={"job_id": "The job's id."}, problems=[NOT_FOUND]),
)
async def stop_training(request: Request) -> Response:
    """Ends a training that runs, and answers with the job as it was; read it again until it has ended.

    Nothing that answers changes. ``adapt`` and ``compress`` go on where they were when they are started again.
    """
    serving = serving_of(request)
    job_id = request.path_params["job_id"]
    job = await serving.answering.run_aside(_jobs(serving.shop).stop, job_id)
    if job is None:
        raise Problem(NOT_FOUND, f"there is no job {job_id[:100]!r}", field="job_id")
    return json_response(asdict(job))


@router.get("/models", **operation("List models", wire.Models, role="admin"))
async def list_models(request: Request) -> Response:
    """Every model with its versions and what was measured of them."""
    serving = serving_of(request)
    return json_response(await serving.answering.run_aside(_models, serving.shop))


@router.post(
    "/models/{name}/rollback",
    **operation(
        "Roll a model back",
        wire.ModelVersion,
        role="admin",
        path={"name": "The model's name."},
        problems=[NOT_FOUND, NOT_READY],
    ),
)
async def rollback(request: Request) -> Response:
    """Puts the version that served before into service again, in every worker."""
    serving = serving_of(request)
    name = request.path_params["name"]
    if name not in serving.shop.versions_of:
        raise Problem(NOT_FOUND, unknown_name("model", name[:100], serving.shop.versions_of), field="name")
    manifest = await serving.answering.run_aside(serving.shop.rollback, name)
    return json_response(_version(manifest, is_current=True))


@router.get("/doctor", **operation("Look the shop over", wire.Findings, role="admin"))
async def doctor(request: Request) -> Response:
    """What is missing or wrong, the most serious first, and what to run."""
    serving = serving_of(request)
    findings = await serving.answering.run_aside(serving.shop.doctor)
    return json_response({"findings": [asdict(finding) for finding in findings]})


@router.get("/status", **operation("The shop at a glance", wire.Status, role="read"))
async def status(request: Request) -> Response:
    """Counts, placements, and the version of each model in service."""
    serving = serving_of(request)
    return json_response(await serving.answering.run_aside(_status, serving.shop))


def _jobs(shop: Shop) -> Jobs:
    return Jobs(shop.folder.root, shop.clock)


def _status(shop: Shop) -> dict[str, Any]:
    config = shop.settings.shop
    return {
        "name": config.name,
        "currency": config.currency,
        "languages": config.languages,
        "counts": dict(shop.counts()),
        "placements": list(shop.settings.placement),
        "versions": dict(shop.live.stages.lineup.versions),
    }


def _models(shop: Shop) -> dict[str, Any]:
    """What the manifests say; whether the files are as they were written is for the doctor."""
    models = []
    for name, artifacts in shop.versions_of.items():
        try:
            versions = artifacts.versions(name)
        except CorruptError:
            versions = []  # the doctor names what is damaged
        promoted = artifacts.promoted(name)
        kind = versions[-1].kind if versions else None
        told = [_version(manifest, is_current=manifest.version == promoted) for manifest in versions]
        models.append({"name": name, "kind": kind, "versions": told})
    return {"models": models}


def _version(manifest: Manifest, *, is_current: bool) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "created_ms": manifest.created_ms,
        "data_seq": manifest.data_seq,
        "is_current": is_current,
        "metrics": manifest.metrics,
    }
