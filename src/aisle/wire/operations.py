"""Operation: training jobs, model versions, findings of the doctor, counts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from aisle.wire.values import Body, Name, Told


class TrainingAsk(Body):
    """What to train."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{}, {"names": ["linear", "popular"]}, {"kind": "adapt", "size": "small"}]}
    )

    kind: Literal["train", "adapt", "compress"] = "train"
    """``train`` learns from everything recorded; ``adapt`` teaches the language model this shop, which takes some 40
    minutes on two cores; ``compress`` makes that model smaller and faster."""
    names: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)] | None = None
    """For ``train``: models to train; all of them when left out."""
    size: Literal["tiny", "small", "large"] | None = None
    """For ``adapt`` and ``compress``: how long; as the shop's settings say when left out."""


class Trained(Told):
    """A version that a job made and put into service."""

    source: str
    version: str


class Standing(Told):
    """How far a piece of work is."""

    task: str
    """What it does now."""
    done: int
    total: int | None
    """Of how many; null where nobody knows."""
    standing: str | None
    """More, such as the loss."""


class Job(Told):
    """A piece of long work."""

    job_id: str
    status: Literal["running", "succeeded", "failed"]
    kind: Literal["train", "adapt", "compress"]
    names: tuple[str, ...] | None
    """Models asked for; null: all of them."""
    started_ms: int
    finished_ms: int | None
    trained: tuple[Trained, ...]
    """Versions made, when it succeeded."""
    message: str | None
    """What went wrong, when it failed; or why what it made does not answer."""
    progress: Standing | None
    """How far it is, while it runs and has told."""
    metrics: dict[str, float] | None
    """What ``adapt`` and ``compress`` measured, when they succeeded."""


class JobList(Told):
    """Jobs, newest first."""

    jobs: tuple[Job, ...]


class ModelVersion(Told):
    """One version of a model."""

    version: str
    created_ms: int
    data_seq: int
    """Everything recorded up to this sequence number was learned from."""
    is_current: bool
    metrics: dict[str, float]


class Model(Told):
    """A model and its versions, oldest first."""

    name: str
    kind: str | None
    """What it is made of; null before its first training."""
    versions: tuple[ModelVersion, ...]


class Models(Told):
    """All models of the shop."""

    models: tuple[Model, ...]


class Finding(Told):
    """One thing that was looked at; `command` is what to run, if anything."""

    level: Literal["ok", "advice", "problem"]
    what: str
    command: str | None


class Findings(Told):
    """What is missing or wrong, the most serious first."""

    findings: tuple[Finding, ...]


class Status(Told):
    """The shop at a glance."""

    name: str
    currency: str
    languages: tuple[str, ...]
    counts: dict[str, int]
    """Rows by table, and `waiting_events`, `suspect_events`, `seq`."""
    placements: tuple[str, ...]
    versions: dict[str, str]
    """Version in service of each model."""


class Erased(Told):
    """What an erasure removed."""

    n_rows: int
