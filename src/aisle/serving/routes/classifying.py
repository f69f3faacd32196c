"""Labels of texts by the shop's fine-tuned models, chosen by name on every request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from aisle import wire
from aisle.errors import unknown_name
from aisle.flows.classify import Classifier, Classifiers
from aisle.serving.answers import json_response
from aisle.serving.context import serving_of
from aisle.serving.describing import operation
from aisle.serving.problems import INVALID, NOT_FOUND, Problem
from aisle.serving.reading import read_body

router = APIRouter(prefix="/v1", tags=["Labelling texts"])

TEXTS_A_PIECE = 32
"""Of a request; between two pieces other requests have their turn."""


@router.get("/classifiers", **operation("List text classifiers", wire.TextClassifiers, role="read"))
async def list_classifiers(request: Request) -> Response:
    """The models that `aisle finetune` taught: their names, what they tell, and how well."""
    serving = serving_of(request)
    return json_response(await serving.answering.run_aside(_about, serving.shop.classifiers))


@router.post(
    "/classify/{name}",
    **operation(
        "Label texts",
        wire.Classified,
        role="read",
        body=wire.ClassifyAsk,
        path={"name": "The fine-tuned model, as `GET /v1/classifiers` names it."},
        problems=[NOT_FOUND],
    ),
)
async def classify(request: Request) -> Response:
    """Calibrated probabilities of each label, of all texts by the same version of the model.

    The first request for a model waits some seconds while it is loaded. Models that share a language model share it in
    memory too.
    """
    body = await read_body(request, wire.ClassifyAsk)
    if body.second is not None and len(body.second) != len(body.texts):
        what = f"{len(body.texts)} texts and {len(body.second)} second texts; give one each, null where there is none"
        raise Problem(INVALID, what, field="second")
    serving = serving_of(request)
    classifiers = serving.shop.classifiers
    name = request.path_params["name"]
    known = await serving.answering.run_quick(classifiers.names)
    if name not in known:
        raise Problem(NOT_FOUND, unknown_name("text classifier", name[:100], known), field="name")
    model = await serving.answering.run_aside(classifiers.open, name)
    answers: list[dict[str, Any]] = []
    for start in range(0, len(body.texts), TEXTS_A_PIECE):
        piece = slice(start, start + TEXTS_A_PIECE)
        second = None if body.second is None else body.second[piece]
        answers += await serving.answering.run_piece(_labelled, model, body.texts[piece], second)
    return json_response({"name": model.name, "version": model.version, "answers": answers})


def _labelled(
    model: Classifier, texts: Sequence[str], second: Sequence[str | None] | None
) -> list[dict[str, Mapping[str, Mapping[str, float]]]]:
    said = model.classify(texts, second)
    return [
        {
            "labels": {
                task.name: dict(zip(task.labels, map(float, said[task.name][row]), strict=True)) for task in model.tasks
            }
        }
        for row in range(len(texts))
    ]


def _about(classifiers: Classifiers) -> dict[str, Any]:
    return {
        "classifiers": [
            {
                "name": name,
                "version": manifest.version,
                "created_ms": manifest.created_ms,
                "tasks": [{"name": task.name, "kind": task.kind, "labels": task.labels} for task in tasks],
                "metrics": dict(manifest.metrics),
            }
            for name, (manifest, tasks) in classifiers.about().items()
        ]
    }
