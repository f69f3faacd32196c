"""Requests made from the OpenAPI document, valid and invalid: no answer may be a 5xx or differ from the document.

``AISLE_FUZZ=500`` asks each route that many times in each way; the suite asks a few.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.service.tiny_server import on_a_port

N_EXAMPLES = int(os.environ.get("AISLE_FUZZ", "6"))
DESCRIBED = json.loads((Path(__file__).parent / "openapi.json").read_text(encoding="utf-8"))
ROUTES = [
    (path, method)
    for path, methods in DESCRIBED["paths"].items()
    for method in methods
    if (path, method) != ("/v1/training", "post")  # starts a process that runs for seconds: tested by hand
]


READS = [(path, method) for path, method in ROUTES if DESCRIBED["paths"][path][method].get("requestBody")]
ASKS_SOMETHING = [
    (path, method)
    for path, method in ROUTES
    if (path, method) in READS
    or any(one["in"] == "query" for one in DESCRIBED["paths"][path][method].get("parameters", ()))
]
"""Routes whose requests can be wrong: ids in paths may be any text."""
WRITES = [("/v1/events", "post"), ("/v1/items", "post"), ("/v1/users", "post"), ("/v1/documents", "post")]
"""Good rows go in beside bad ones, and another form has another shape: a wrong row is no wrong request."""


@pytest.fixture(scope="module")
def schema(trained_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed") / "shop"
    shutil.copytree(trained_folder, folder)
    with on_a_port(folder) as address:
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")


def named(routes):
    return pytest.mark.parametrize(("path", "method"), routes, ids=[f"{method} {path}" for path, method in routes])


@named(ROUTES)
@pytest.mark.timeout(3_600)
def test_valid_requests_get_answers_that_are_described(schema, path, method):
    """What the document cannot say may still refuse one: unknown placements and items, prices the wrong way round,
    cursors that nobody gave out, texts without a visible character. It then says which field, as a problem.
    """
    check(schema, path, method, GenerationMode.POSITIVE, [positive_data_acceptance])


@named(ASKS_SOMETHING)
@pytest.mark.timeout(3_600)
def test_invalid_requests_are_refused_as_it_is_described(schema, path, method):
    excluded = [negative_data_rejection] if (path, method) in WRITES else []
    check(schema, path, method, GenerationMode.NEGATIVE, excluded)


def check(schema, path, method, mode, excluded):
    operation = schema[path][method.upper()]

    @settings(
        max_examples=N_EXAMPLES,
        deadline=None,
        derandomize=N_EXAMPLES < 100,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        response = case.call_and_validate(excluded_checks=excluded)
        if response.status_code == 422:
            assert response.json()["detail"]

    ask()
