"""A typed Python client of the REST API.

Enters: an address and a key. Leaves: the records of ``aisle.wire``, and errors by what the caller can do about them:

    ClientError
    ├── UnreachableError         the server could not be reached, or did not answer in time
    └── ProblemError             the server's problem document, as ``problem``
        ├── InvalidError         the request is wrong (400, 413, 415, 422): see ``problem.field`` and ``.refusals``
        ├── KeyRefusedError      no key, or one that may not do that (401, 403)
        ├── NotFoundError        there is no such thing (404)
        ├── ConflictError        something must be done first, or end first (409)
        └── ServerError          the server failed, or had no time for us (429, 5xx), also after trying again

Imports no other part of the package than ``wire``: a shop's site needs httpx and pydantic.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from aisle import wire
from aisle.wire.values import EventFormat, ItemFormat, SortName

T = TypeVar("T", bound=BaseModel)
Row = TypeVar("Row", bound=BaseModel)

AGAIN = (429, 503)
"""Statuses after which the same request may be sent again: it was not worked on."""
LONGEST_PAUSE_S = 30.0


class ClientError(Exception):
    """Root of the tree."""


class UnreachableError(ClientError):
    """The server could not be reached, or did not answer in time."""


class ProblemError(ClientError):
    """The server said why it does not answer."""

    def __init__(self, problem: wire.Problem) -> None:
        super().__init__(f"{problem.title} ({problem.status}): {problem.detail}")
        self.problem = problem


class InvalidError(ProblemError):
    """The request is wrong."""


class KeyRefusedError(ProblemError):
    """No key, or one that may not do that."""


class NotFoundError(ProblemError):
    """There is no such thing."""


class ConflictError(ProblemError):
    """Something must be done first, or end first."""


class ServerError(ProblemError):
    """The server failed, or had no time."""


_ERRORS: Mapping[int, type[ProblemError]] = {
    400: InvalidError,
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
}


class AskFields(TypedDict, total=False):
    """What every question may say besides; see ``wire.SearchAsk``."""

    user_id: str | None
    size: int | None
    filters: wire.Filters
    context: wire.Context
    sort: SortName
    cursor: str | None
    with_items: bool
    with_facets: bool
    explain: bool


class SearchFields(AskFields, total=False):
    """What a search may say besides."""

    with_highlights: bool
    as_typed: bool


class Client:
    """A connection to one server; a context manager, safe to use from several threads."""

    def __init__(
        self,
        address: str,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        n_retries: int = 3,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to ``address`` such as ``http://127.0.0.1:8000``; nothing is sent yet.

        Args:
            address: where the server listens.
            key: a key made by ``aisle keys add``.
            timeout: seconds to wait for an answer.
            n_retries: how often a request is sent again where that is safe.
            transport: how requests travel; None is the network.
            sleep: waits so many seconds between two tries.
        """
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout, transport=transport)
        self._n_retries = n_retries
        self._sleep = sleep

    # Asking.

    def search(self, query: str, **fields: Unpack[SearchFields]) -> wire.Answer:
        """Items for a typed query, best first."""
        return self._post("/v1/search", wire.SearchAsk(query=query, **fields), wire.Answer)

    def search_many(self, asks: Sequence[wire.SearchAsk]) -> list[wire.Answer | wire.Problem]:
        """An answer for each ask, in their order; a problem where one is wrong."""
        return list(self._post("/v1/search/batch", wire.SearchBatch(asks=tuple(asks)), wire.Answers).answers)

    def recommend(
        self, placement: str = "recommended-for-you", *, item_ids: Sequence[str] = (), **fields: Unpack[AskFields]
    ) -> wire.Answer:
        """The list of a placement, for a user or about ``item_ids``."""
        ask = wire.RecommendAsk(placement=placement, item_ids=tuple(item_ids), **fields)
        return self._post("/v1/recommend", ask, wire.Answer)

    def recommend_many(self, asks: Sequence[wire.RecommendAsk]) -> list[wire.Answer | wire.Problem]:
        """An answer for each ask, in their order; a problem where one is wrong."""
        return list(self._post("/v1/recommend/batch", wire.RecommendBatch(asks=tuple(asks)), wire.Answers).answers)

    def similar(
        self,
        item_id: str,
        *,
        user_id: str | None = None,
        size: int | None = None,
        language: str | None = None,
        with_items: bool = False,
        explain: bool = False,
    ) -> wire.Answer:
        """Items like one item."""
        query = wire.SimilarQuery(user_id=user_id, size=size, language=language, with_items=with_items, explain=explain)
        return self._get(f"/v1/items/{_quoted(item_id)}/similar", wire.Answer, query)

    def complete_basket(self, item_ids: Sequence[str], **fields: Unpack[AskFields]) -> wire.Answer:
        """What goes with the items in a basket."""
        return self._post("/v1/basket", wire.BasketAsk(item_ids=tuple(item_ids), **fields), wire.Answer)

    def suggest(self, prefix: str, *, size: int = 10, language: str | None = None) -> list[wire.Suggestion]:
        """Ways to go on typing ``prefix``."""
        query = wire.SuggestQuery(prefix=prefix, size=size, language=language)
        return list(self._get("/v1/suggest", wire.Suggestions, query).suggestions)

    # Labelling texts.

    def classifiers(self) -> list[wire.TextClassifier]:
        """The fine-tuned models that can be asked."""
        return list(self._get("/v1/classifiers", wire.TextClassifiers).classifiers)

    def classify(
        self, name: str, texts: Sequence[str], *, second: Sequence[str | None] | None = None
    ) -> wire.Classified:
        """What the model ``name`` says of each text; ``second`` is what each is looked at together with."""
        ask = wire.ClassifyAsk(texts=tuple(texts), second=None if second is None else tuple(second))
        return self._post(f"/v1/classify/{_quoted(name)}", ask, wire.Classified)

    # Filling.

    def add_events(self, events: Iterable[wire.Event]) -> wire.Written:
        """Record events. Each gets an ``event_id`` if it has none, so that sending them again is safe."""
        named = (
            event if event.event_id else event.model_copy(update={"event_id": uuid.uuid4().hex}) for event in events
        )
        return self._write("/v1/events", named)

    def add_foreign_events(
        self, body: Any, format: EventFormat = "auto", *, idempotency_key: str | None = None
    ) -> wire.Written:
        """Record events as GA4, Google Retail or Gorse write them; ``body`` is plain JSON.

        Sending it again is safe: the request has a key of its own. Give ``idempotency_key`` where your program may
        itself come back with the same body later.
        """
        headers = {"idempotency-key": idempotency_key or uuid.uuid4().hex}
        return self._send("POST", "/v1/events", wire.Written, json=body, params={"format": format}, headers=headers)

    def add_items(self, items: Iterable[wire.Item]) -> wire.Written:
        """Add or replace items."""
        return self._write("/v1/items", items)

    def add_foreign_items(self, body: Any, format: ItemFormat = "auto") -> wire.Written:
        """Add or replace items as GA4, Google Retail or Gorse write them; ``body`` is plain JSON."""
        return self._send("POST", "/v1/items", wire.Written, json=body, params={"format": format})

    def add_users(self, users: Iterable[wire.User]) -> wire.Written:
        """Add or replace users' profiles."""
        return self._write("/v1/users", users)

    def add_documents(self, documents: Iterable[wire.Document]) -> wire.Written:
        """Add or replace documents."""
        return self._write("/v1/documents", documents)

    def erase_user(self, user_id: str) -> int:
        """Remove everything recorded of a user; how many rows went."""
        return self._send("DELETE", f"/v1/users/{_quoted(user_id)}", wire.Erased).n_rows

    # Reading back.

    def read_item(self, item_id: str) -> wire.ListedItem:
        """An item; raises ``NotFoundError`` when there is none."""
        return self._get(f"/v1/items/{_quoted(item_id)}", wire.ListedItem)

    def read_user(self, user_id: str) -> wire.ListedUser:
        """A profile; raises ``NotFoundError`` when there is none."""
        return self._get(f"/v1/users/{_quoted(user_id)}", wire.ListedUser)

    def items(self, page_size: int = 100) -> Iterator[wire.ListedItem]:
        """Every item, in the order of arrival."""
        return self._rows("/v1/items", wire.ItemPage, page_size)

    def users(self, page_size: int = 100) -> Iterator[wire.ListedUser]:
        """Every profile, by id."""
        return self._rows("/v1/users", wire.UserPage, page_size)

    def events(self, page_size: int = 100, *, user_id: str | None = None) -> Iterator[wire.ListedEvent]:
        """Every event, newest arrival first; of one user when ``user_id`` is given."""
        return self._rows("/v1/events", wire.EventPage, page_size, user_id=user_id)

    def documents(self, page_size: int = 100) -> Iterator[wire.ListedDocument]:
        """Every document, by id."""
        return self._rows("/v1/documents", wire.DocumentPage, page_size)

    def read_slate(self, slate_id: str) -> wire.Slate:
        """A list as it was shown."""
        return self._get(f"/v1/slates/{_quoted(slate_id)}", wire.Slate)

    def explain(self, slate_id: str, language: str | None = None) -> wire.Explanation:
        """Why each item stood where it did, in ``language`` or the shop's."""
        path = f"/v1/slates/{_quoted(slate_id)}/explain"
        return self._get(path, wire.Explanation, wire.ExplainQuery(language=language))

    # Query rules.

    def rules_draft(self) -> wire.Rules:
        """The draft of the query rules, and what is to be said of it."""
        return self._get("/v1/rules/draft", wire.Rules)

    def put_rules_draft(self, rules: Iterable[wire.QueryRule], *, replaces: str | None = None) -> wire.Rules:
        """Put ``rules`` in the place of the draft.

        Raises ``ConflictError`` where ``replaces`` is not its ``digest`` any more: somebody else changed it meanwhile.
        """
        body = wire.RulesDraft(rules=tuple(rules), replaces=replaces)
        return self._send("PUT", "/v1/rules/draft", wire.Rules, content=_bytes(body), is_safe=replaces is None)

    def try_rules(self, query: str, *, language: str | None = None, size: int | None = None) -> wire.Trial:
        """The list of a query as it is and with the draft, and what moves."""
        return self._post("/v1/rules/try", wire.TryAsk(query=query, language=language, size=size), wire.Trial)

    def publish_rules(self, note: str = "") -> wire.RulesVersion:
        """Let the draft count, as the next version; raises ``InvalidError`` while it has problems."""
        content = _bytes(wire.PublishAsk(note=note))
        return self._send("POST", "/v1/rules/publish", wire.RulesVersion, content=content, is_safe=False)

    def rules_versions(self) -> list[wire.RulesVersion]:
        """Versions of the rules, newest first."""
        return list(self._get("/v1/rules/versions", wire.RulesVersions).versions)

    def read_rules(self, version: int) -> list[wire.QueryRule]:
        """The rules of a version."""
        return list(self._get(f"/v1/rules/versions/{version}", wire.RulesOfVersion).rules)

    def rollback_rules(self, version: int | None = None) -> wire.RulesVersion:
        """Let an earlier version count again; None is the one before the current."""
        content = _bytes(wire.RollbackAsk(version=version))
        return self._send("POST", "/v1/rules/rollback", wire.RulesVersion, content=content, is_safe=False)

    def rule_proposals(
        self, status: Literal["proposed", "accepted", "rejected"] = "proposed"
    ) -> list[wire.RuleProposal]:
        """Rules that clicks speak for, strongest first."""
        query = wire.ProposalsQuery(status=status)
        return list(self._get("/v1/rules/proposals", wire.RuleProposals, query).proposals)

    def decide_proposal(self, proposal_id: str, *, accept: bool) -> wire.RuleProposal:
        """Accept a proposal, which puts its rule into the draft, or reject it."""
        path = f"/v1/rules/proposals/{_quoted(proposal_id)}"
        content = _bytes(wire.DecisionAsk(accept=accept))
        return self._send("POST", path, wire.RuleProposal, content=content, is_safe=False)

    # Operating.

    def start_training(
        self,
        names: Sequence[str] | None = None,
        *,
        kind: Literal["train", "adapt", "compress"] = "train",
        size: Literal["tiny", "small", "large"] | None = None,
    ) -> wire.Job:
        """Start to learn; raises ``ConflictError`` while another training runs.

        Args:
            names: for ``train``, which models; None for all.
            kind: from everything recorded; or the language model this shop; or to be smaller.
            size: for the language model, how long; None as the shop's settings say.
        """
        body = wire.TrainingAsk(kind=kind, names=None if names is None else tuple(names), size=size)
        return self._send("POST", "/v1/training", wire.Job, content=_bytes(body), is_safe=False)

    def read_training(self, job_id: str) -> wire.Job:
        """How a training goes."""
        return self._get(f"/v1/training/{_quoted(job_id)}", wire.Job)

    def stop_training(self, job_id: str) -> wire.Job:
        """End a training that runs; the job as it was before."""
        return self._send("DELETE", f"/v1/training/{_quoted(job_id)}", wire.Job)

    def trainings(self) -> list[wire.Job]:
        """Trainings, newest first."""
        return list(self._get("/v1/training", wire.JobList).jobs)

    def models(self) -> list[wire.Model]:
        """Every model with its versions."""
        return list(self._get("/v1/models", wire.Models).models)

    def rollback(self, name: str) -> wire.ModelVersion:
        """Put the version of a model that served before into service again."""
        return self._send("POST", f"/v1/models/{_quoted(name)}/rollback", wire.ModelVersion, is_safe=False)

    def doctor(self) -> list[wire.Finding]:
        """What is missing or wrong, the most serious first."""
        return list(self._get("/v1/doctor", wire.Findings).findings)

    def status(self) -> wire.Status:
        """The shop at a glance."""
        return self._get("/v1/status", wire.Status)

    # How it is sent.

    def _get(self, path: str, kind: type[T], query: BaseModel | None = None) -> T:
        return self._send("GET", path, kind, params=_parameters(query.model_dump()) if query else None)

    def _post(self, path: str, body: BaseModel, kind: type[T]) -> T:
        return self._send("POST", path, kind, content=_bytes(body))

    def _write(self, path: str, records: Iterable[BaseModel]) -> wire.Written:
        content = b"[" + b",".join(map(_bytes, records)) + b"]"
        return self._send("POST", path, wire.Written, content=content)

    def _rows(self, path: str, kind: Any, page_size: int, **parameters: str | None) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            given = _parameters({"limit": page_size, "cursor": cursor, **parameters})
            page = self._send("GET", path, kind, params=given)
            yield from page.rows
            cursor = page.cursor
            if cursor is None:
                return

    def _send(
        self,
        method: Literal["GET", "POST", "PUT", "DELETE"],
        path: str,
        kind: type[T],
        *,
        content: bytes | None = None,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        is_safe: bool = True,
    ) -> T:
        """Send a request, again where it was not worked on, or lost on the way and ``is_safe`` to be sent twice."""
        sent = dict(headers or {}) | ({"content-type": "application/json"} if content is not None else {})
        n_left = self._n_retries
        while True:
            pause_s = min(LONGEST_PAUSE_S, 0.1 * 2 ** (self._n_retries - n_left))
            try:
                response = self._http.request(method, path, content=content, json=json, params=params, headers=sent)
            except httpx.TransportError as error:
                if not n_left or not is_safe:
                    raise UnreachableError(f"no answer from {self._http.base_url}: {error}") from error
            else:
                if not n_left or response.status_code not in AGAIN:
                    return _told(response, kind)
                pause_s = _pause(response, pause_s)
            self._sleep(pause_s)
            n_left -= 1

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _told(response: httpx.Response, kind: type[T]) -> T:
    if response.is_success:
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise UnreachableError(f"{response.url} is not a server of this API: {error}") from error
    try:
        problem = wire.Problem.model_validate_json(response.content)
    except ValidationError:  # something before the server, such as a proxy
        problem = wire.Problem(
            type="about:blank",
            title=response.reason_phrase or "No answer",
            status=response.status_code,
            detail=response.text[:200],
            instance=response.url.path,
        )
    raise _ERRORS.get(problem.status, ServerError)(problem)


def _pause(response: httpx.Response, otherwise_s: float) -> float:
    """Seconds to wait as the server wishes, within reason."""
    given = response.headers.get("retry-after", "")
    return min(LONGEST_PAUSE_S, float(given)) if given.isdigit() else otherwise_s


def _parameters(given: Mapping[str, Any]) -> dict[str, str]:
    told = {name: value for name, value in given.items() if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in told.items()}


def _bytes(body: BaseModel) -> bytes:
    return body.model_dump_json(exclude_defaults=True).encode()


def _quoted(name: str) -> str:
    return quote(name, safe="")
