"""Requests made from the OpenAPI document, valid and invalid: no answer may be a 5xx or differ from the document.

``AISLE_FUZZ=500`` asks each route that many times in each way; the suite asks a few.
"""

import json
import os
import re
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
WRITES = [("/v1/events", "post"), ("/v1/items", "post"), ("/v1/users", "post"), ("/v1/documents", "post")]
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
BEYOND_THE_DOCUMENT = {
    "placement": "unknown placement",
    "item_id": "unknown item",
    "cursor": "cursor",
    "attributes": "no item has the",
    "kinds": "are not shown in this placement",
    "categories": "no item has the category",
    "brands": "no item has the brand",
    "sellers": "no item has the seller",
    "Idempotency-Key": "this key was sent before with another body",
    "format": "but no record has a key of that form",
    "min_price_minor": "is above max_price_minor",
    "second": "second texts; give one each",
    "id": "which is there already",
    "version": "there is no version",
    "rules": "the draft is not published",
    "rule.when": "equals and contains are both given",
    "rule.when.time": "is not before until_ms",
    "rule.action.pin": "is pinned twice",
    "rule.action.filter": "limits nothing",
    "rule.action.filter.price": "is above max_price_minor",
    "rule.action.target": "names no items",
}
"""Why a request that the document allows is refused nevertheless, by field: it depends on what the shop holds, on two
fields together, or on what remains of a text once it is clean. JSON Schema cannot say any of these."""
UNCLEAN = (
    "text that a spreadsheet does not run as a formula",
    "a title with visible characters",
    "text with visible characters",
    "a day ahead of the server",
    "non-empty",
)
"""The same for a row."""


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
def test_valid_requests_are_answered_as_it_is_described(schema, path, method):
    check(schema, path, method, GenerationMode.POSITIVE)


@named(ASKS_SOMETHING)
@pytest.mark.timeout(3_600)
def test_invalid_requests_are_refused_as_it_is_described(schema, path, method):
    check(schema, path, method, GenerationMode.NEGATIVE)


def check(schema, path, method, mode):
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
        response = case.call()
        excluded = []
        if response.status_code == 422:
            problem = response.json()
            assert problem["detail"]
            if is_beyond_the_document(problem):
                excluded = [positive_data_acceptance]
        elif response.status_code == 200 and (path, method) in WRITES and response.json()["refusals"]:
            # Good rows go in beside bad ones, which are named: a wrong row is no wrong request.
            excluded = [negative_data_rejection]
        case.validate_response(response, excluded_checks=excluded)

    ask()


def is_beyond_the_document(problem):
    if refusals := problem.get("refusals"):
        return all(any(reason in one["allowed"] for reason in UNCLEAN) for one in refusals)
    field = re.sub(r"^rules\[\d+\]", "rule", problem.get("field", ""))
    field = re.sub(r"\.(boost|bury|hide)\.target$", ".target", field)
    reasons = [
        reason for known, reason in BEYOND_THE_DOCUMENT.items() if known in (field, f"{field}.time", f"{field}.price")
    ]
    return any(reason in problem["detail"] for reason in reasons)
