"""Look a shop over: what is missing, what is wrong, what to run."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from aisle.contracts import RecordStore
from aisle.errors import CorruptError
from aisle.flows.train import SourceSpec

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
    root: Path, records: RecordStore, specs: Mapping[str, SourceSpec], failures: Mapping[str, str]
) -> list[Finding]:
    """Findings, the most serious first. ``failures`` are the sources that could not be brought into service."""
    counts = records.counts()
    findings = [*on_data(counts), *on_sources(records, specs, failures), *on_disk(root)]
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


def on_sources(records: RecordStore, specs: Mapping[str, SourceSpec], failures: Mapping[str, str]) -> list[Finding]:
    """Is every source trained, whole, and recent?"""
    findings = [
        Finding(Level.PROBLEM, f"source {name} does not serve: {why}", f"aisle train SHOP --source {name}")
        for name, why in failures.items()
    ]
    counts = records.counts()
    n_rows = counts["items"] + counts["events"]
    n_allowed = int(STALE_SHARE * n_rows)
    is_behind: dict[int, bool] = {}
    for name, spec in specs.items():
        if name in failures or not counts["items"]:
            continue
        try:
            found = spec.artifacts.current(name)
        except CorruptError as error:
            findings.append(Finding(Level.PROBLEM, str(error), f"aisle train SHOP --source {name}"))
            continue
        if found is None:
            findings.append(Finding(Level.ADVICE, f"source {name} was never trained", "aisle train SHOP"))
            continue
        _, manifest = found
        if manifest.data_seq not in is_behind:
            is_behind[manifest.data_seq] = has_more_since(records, manifest.data_seq, counts["seq"], n_allowed)
        if is_behind[manifest.data_seq]:
            what = f"source {name} was trained before more than {STALE_SHARE:.0%} of the items and events were recorded"
            findings.append(Finding(Level.ADVICE, what, f"aisle train SHOP --source {name}"))
        else:
            findings.append(Finding(Level.OK, f"source {name} serves, version {manifest.version}"))
    return findings


def has_more_since(records: RecordStore, seq: int, now_seq: int, n_allowed: int) -> bool:
    """Whether more than ``n_allowed`` items and events came after ``seq``.

    Lists that were shown take sequence numbers too, so that the numbers alone settle it only when they are few. Reads
    no further than needed.
    """
    n_since = 0
    while now_seq - seq > n_allowed - n_since:
        changes = records.changes_since(seq)
        n_since += len(changes.items) + len(changes.events)
        if n_since > n_allowed:
            return True
        if changes.is_complete:
            return False
        seq = changes.seq
    return False


def on_disk(root: Path) -> list[Finding]:
    """Is there room to write?"""
    free = shutil.disk_usage(root).free
    if free < LOW_DISK_BYTES:
        return [Finding(Level.PROBLEM, f"only {free / 2**20:,.0f} MiB of disk are free; writes will soon fail")]
    return [Finding(Level.OK, f"{free / 2**30:,.0f} GiB of disk are free")]
