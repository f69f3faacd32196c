"""Look a shop over: what is missing, what is wrong, what to run."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from aisle.contracts import Manifest, RecordStore
from aisle.errors import CorruptError
from aisle.flows.rank_training import NOT_CALIBRATED, RankerSpec, has_impressions, not_ranked
from aisle.flows.train import SourceSpec
from aisle.ranking.gate import PASSED

LOW_DISK_BYTES = 1 << 30
STALE_SHARE = 0.2
"""A source is called stale when items and events recorded since it was trained are more than this share of all."""


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``command`` is what to run, if anything."""

    level: Level
    what: str
    command: str | None = None


def diagnose(
    root: Path,
    records: RecordStore,
    specs: Mapping[str, SourceSpec],
    ranker: RankerSpec,
    failures: Mapping[str, str],
    serving: Collection[str],
) -> list[Finding]:
    """Findings, the most serious first.

    Args:
        root: the shop's folder.
        records: what is counted.
        specs: the sources that there should be.
        ranker: the ranker that there may be.
        failures: what is wrong with those that could not be brought into service, or not as they should be.
        serving: the sources that answer.
    """
    counts = records.counts()
    of_sources = {name: why for name, why in failures.items() if name != ranker.name}
    findings = [
        *on_data(counts),
        *on_sources(records, specs, of_sources, serving),
        *on_ranker(ranker, failures.get(ranker.name)),
        *on_disk(root),
    ]
    shop = shlex.quote(str(root))
    findings = [
        replace(
            finding,
            what=finding.what.replace("aisle train SHOP", f"aisle train {shop}"),
            command=finding.command and finding.command.replace("SHOP", shop),
        )
        for finding in findings
    ]
    order = [Level.PROBLEM, Level.ADVICE, Level.OK]
    return sorted(findings, key=lambda finding: order.index(finding.level))


def on_data(counts: Mapping[str, int]) -> list[Finding]:
    """Is there a catalogue, is there behaviour, do they fit together?"""
    findings = []
    if not counts["items"]:
        findings.append(Finding(Level.PROBLEM, "the shop has no items", "aisle import SHOP items.csv"))
    else:
        findings.append(Finding(Level.OK, f"{counts['items']:,} items"))
    if not counts["events"]:
        what = "no events: lists follow content and novelty only, nothing is personal"
        findings.append(Finding(Level.ADVICE, what, "aisle import SHOP events.csv"))
    else:
        findings.append(Finding(Level.OK, f"{counts['events']:,} events of {counts['users']:,} users with a profile"))
    if counts["waiting_events"]:
        what = f"{counts['waiting_events']:,} events wait for items that are not in the catalogue"
        findings.append(Finding(Level.ADVICE, what, "aisle import SHOP items.csv"))
    if counts["suspect_events"]:
        what = f"{counts['suspect_events']:,} events look like robots'; they are kept but teach nothing"
        findings.append(Finding(Level.ADVICE, what))
    return findings


def on_sources(
    records: RecordStore, specs: Mapping[str, SourceSpec], failures: Mapping[str, str], serving: Collection[str]
) -> list[Finding]:
    """Is every source trained, whole, and recent? Sources of which the same is true share a finding."""
    findings: list[Finding] = []
    said: dict[tuple[Level, str], list[str]] = {}
    for name, why in failures.items():
        what = why if name in serving else f"out of service: {why}"
        said.setdefault((Level.PROBLEM, what), []).append(name)
    counts = records.counts()
    n_allowed = STALE_SHARE * (counts["items"] + counts["events"])
    for name, spec in specs.items():
        if name in failures or not counts["items"]:
            continue
        try:
            found = spec.artifacts.current(name)
        except CorruptError as error:
            said.setdefault((Level.PROBLEM, str(error)), []).append(name)
            continue
        if found is None:
            said.setdefault((Level.ADVICE, "never trained"), []).append(name)
            continue
        _, manifest = found
        if sum(records.count_since(manifest.data_seq).values()) > n_allowed:
            what = f"trained before more than {STALE_SHARE:.0%} of the items and events were recorded"
            said.setdefault((Level.ADVICE, what), []).append(name)
        else:
            findings.append(Finding(Level.OK, f"source {name} serves, version {manifest.version}"))
    for (level, what), names in said.items():
        subject = f"source {names[0]}" if len(names) == 1 else f"sources {', '.join(names)}"
        findings.append(Finding(level, f"{subject}: {what}", train_again(names, specs)))
    return findings


def on_ranker(spec: RankerSpec, failure: str | None) -> list[Finding]:
    """Does a trained ranker answer, and did the newest pass its gate?"""
    again = f"aisle train SHOP --source {spec.name}"
    findings = [] if failure is None else [Finding(Level.PROBLEM, f"ranker: {failure}", again)]
    promoted = spec.artifacts.promoted(spec.name)
    versions = spec.artifacts.versions(spec.name)
    if promoted is not None and failure is None:
        findings.append(Finding(Level.OK, f"ranker serves, version {promoted}"))
        findings += [what for one in versions if one.version == promoted for what in on_ranker_in_service(one)]
    elif promoted is None:
        findings.append(Finding(Level.OK, "no ranker answers yet: lists follow the sources' scores"))
    if versions and not versions[-1].metrics.get(PASSED, 0.0):
        what = f"ranker {versions[-1].version}, the newest, did not pass its gate and does not answer"
        findings.append(Finding(Level.ADVICE, what, again))
    return findings


def on_ranker_in_service(manifest: Manifest) -> list[Finding]:
    """Where does it leave the order alone, and can its probabilities be believed?"""
    findings = [
        Finding(Level.OK, f"ranker {manifest.version} leaves {name} in the fused order: {why}")
        for name, why in not_ranked(manifest).items()
    ]
    if not has_impressions(manifest):
        findings.append(Finding(Level.ADVICE, f"ranker {manifest.version}: {NOT_CALIBRATED}"))
    return findings


def train_again(names: Sequence[str], specs: Mapping[str, SourceSpec]) -> str:
    """The command that trains just these."""
    chosen = "" if set(names) >= set(specs) else "".join(f" --source {name}" for name in names)
    return f"aisle train SHOP{chosen}"


def on_disk(root: Path) -> list[Finding]:
    """Is there room to write?"""
    free = shutil.disk_usage(root).free
    if free < LOW_DISK_BYTES:
        return [Finding(Level.PROBLEM, f"only {free / 2**20:,.0f} MiB of disk are free; writes will soon fail")]
    return [Finding(Level.OK, f"{free / 2**30:,.0f} GiB of disk are free")]
