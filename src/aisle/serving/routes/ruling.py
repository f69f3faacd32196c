"""Query rules: the draft, what it would change, versions, and proposals to decide on."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from aisle import wire
from aisle.errors import DataError
from aisle.serving.answers import json_response
from aisle.serving.context import serving_of
from aisle.serving.describing import operation
from aisle.serving.problems import NOT_FOUND, NOT_READY, Problem
from aisle.serving.reading import read_body, read_query
from aisle.shop import Shop

router = APIRouter(prefix="/v1/rules", tags=["Query rules"])


@router.get("/draft", **operation("Read the draft of the rules", wire.Rules, role="admin"))
async def read_draft(request: Request) -> Response:
    """The rules that people work at, in order, and what is to be said of them. They count once they are published."""
    return _told(await serving_of(request).answering.run_aside(_shop(request).rules.draft))


@router.put(
    "/draft",
    **operation("Replace the draft of the rules", wire.Rules, role="admin", body=wire.RulesDraft, problems=[NOT_READY]),
)
async def put_draft(request: Request) -> Response:
    """Puts these rules in the place of the whole draft, and says what is wrong with them; nothing counts yet."""
    body = await read_body(request, wire.RulesDraft)

    def put() -> wire.Rules:
        return _shop(request).rules.put(body.rules, by=_who(request), replaces=body.replaces)

    return _told(await serving_of(request).answering.run_aside(put))


@router.post("/try", **operation("Try the draft", wire.Trial, role="admin", body=wire.TryAsk, problems=[NOT_READY]))
async def try_draft(request: Request) -> Response:
    """The list of a query with the published rules and with the draft, and what moves. Nobody is shown either."""
    body = await read_body(request, wire.TryAsk)

    def ask() -> wire.Trial:
        rules = _shop(request).rules
        return rules.trial(body.query, language=body.language, size=body.size, categories=body.categories)

    return _told(await serving_of(request).answering.run_aside(ask))


@router.post(
    "/publish",
    **operation("Publish the draft", wire.RulesVersion, role="admin", body=wire.PublishAsk, problems=[NOT_READY]),
)
async def publish(request: Request) -> Response:
    """Makes the draft the next version, which every worker soon answers with; refused while it has problems."""
    body = await read_body(request, wire.PublishAsk)

    def make() -> wire.RulesVersion:
        return _shop(request).rules.publish(by=_who(request), note=body.note)

    return _told(await serving_of(request).answering.run_aside(make))


@router.get("/versions", **operation("List versions of the rules", wire.RulesVersions, role="admin"))
async def list_versions(request: Request) -> Response:
    """Every version with who published it and when, newest first."""
    versions = await serving_of(request).answering.run_aside(_shop(request).rules.versions)
    return _told(wire.RulesVersions(versions=tuple(versions)))


@router.get(
    "/versions/{version}",
    **operation(
        "Read a version of the rules",
        wire.RulesOfVersion,
        role="admin",
        path={"version": "The version's number."},
        problems=[NOT_FOUND],
    ),
)
async def read_version(request: Request) -> Response:
    """The rules of one version, in order."""
    asked = request.path_params["version"]
    version = int(asked) if asked.isdecimal() and asked.isascii() and len(asked) < 10 else -1
    try:
        rules = await serving_of(request).answering.run_aside(_shop(request).rules.read, version)
    except DataError as error:
        raise Problem(NOT_FOUND, f"there is no version {asked[:20]!r} of the rules", field="version") from error
    return _told(wire.RulesOfVersion(version=version, rules=tuple(rules)))


@router.post(
    "/rollback",
    **operation("Roll the rules back", wire.RulesVersion, role="admin", body=wire.RollbackAsk, problems=[NOT_READY]),
)
async def rollback(request: Request) -> Response:
    """Lets the rules of an earlier version count again, as the next version; the draft stays as it is."""
    body = await read_body(request, wire.RollbackAsk)

    def go_back() -> wire.RulesVersion:
        return _shop(request).rules.rollback(body.version, by=_who(request))

    return _told(await serving_of(request).answering.run_aside(go_back))


@router.get(
    "/proposals", **operation("List proposed rules", wire.RuleProposals, role="admin", query=wire.ProposalsQuery)
)
async def list_proposals(request: Request) -> Response:
    """Rules that clicks speak for (`aisle rules mine`), strongest first; they count for nothing until accepted."""
    query = read_query(request, wire.ProposalsQuery)
    found = await serving_of(request).answering.run_aside(_shop(request).rules.proposals, query.status)
    return _told(wire.RuleProposals(proposals=tuple(found)))


@router.post(
    "/proposals/{proposal_id}",
    **operation(
        "Decide on a proposed rule",
        wire.RuleProposal,
        role="admin",
        body=wire.DecisionAsk,
        path={"proposal_id": "The proposal's id."},
        problems=[NOT_FOUND],
    ),
)
async def decide(request: Request) -> Response:
    """Accepts a proposal, which puts its rule into the draft, or rejects it, so that it is not made again."""
    body = await read_body(request, wire.DecisionAsk)
    proposal_id = request.path_params["proposal_id"]

    def note() -> wire.RuleProposal:
        return _shop(request).rules.decide(proposal_id, accept=body.accept, by=_who(request))

    try:
        return _told(await serving_of(request).answering.run_aside(note))
    except DataError as error:
        if error.field != "proposal_id":
            raise
        raise Problem(NOT_FOUND, str(error), field="proposal_id") from error


def _shop(request: Request) -> Shop:
    return serving_of(request).shop


def _who(request: Request) -> str:
    """Who asks, as it is noted: the name of the key, or that there are none."""
    return getattr(request.state, "key_name", "over HTTP")


def _told(answer: BaseModel) -> Response:
    return json_response(answer.model_dump(mode="json"))
