"""The promises of ``contracts.ArtifactStore``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aisle.contracts import ArtifactStore, Manifest
from aisle.errors import CorruptError, NotReadyError
from aisle.testing.conformance.files import empty_folder
from aisle.testing.conformance.promises import Promise, in_threads

CONFIG = {"half_life_days": 30.0, "names": ["a", "b"], "deep": {"is_on": True}}


class _Interrupted(Exception):
    """Stands for whatever stops a writer."""


def check_artifact_store(make: Callable[[Path], ArtifactStore]) -> None:
    """Examine an artifact store; ``make`` opens the one that is kept in a folder, anew or again.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    with empty_folder() as folder:
        store = make(folder)
        name = f"artifact store {type(store).__name__}"
        _starts_empty(name, store)
        _promotes_and_rolls_back(name, store)
        _hides_what_failed(name, store)
        _is_there_again(name, make, folder)
        _notices_damage(name, store)
        _takes_many_writers(name, store)


def _write(store: ArtifactStore, model: str, content: str, data_seq: int = 0) -> str:
    """Write a version with ``content``; returns its name."""
    metrics = {"recall@10": 0.25}
    with store.write(model, "Kind", data_seq=data_seq, config=CONFIG, metrics=metrics) as draft:
        (draft.folder / "weights.txt").write_text(content, encoding="utf-8")
        (draft.folder / "inner").mkdir()
        (draft.folder / "inner" / "more.txt").write_text(content * 2, encoding="utf-8")
    return draft.version


def _read(store: ArtifactStore, model: str) -> str | None:
    found = store.current(model)
    return None if found is None else (found[0] / "weights.txt").read_text(encoding="utf-8")


def _starts_empty(name: str, store: ArtifactStore) -> None:
    with Promise(name, "nothing is current before it was promoted") as promise:
        promise.require(store.current("model") is None, "something is current")
        promise.require(store.versions("model") == [], "there are versions")
        promise.require(store.names() == [], "a model is named")
    with Promise(name, "promote and rollback raise NotReadyError when there is nothing") as promise:
        for what, call in (("promote", store.promote), ("rollback", store.rollback)):
            promise.require(_raises(NotReadyError, lambda call=call: call("model")), f"{what} did not")


def _promotes_and_rolls_back(name: str, store: ArtifactStore) -> None:
    with Promise(name, "a version that is written is not current yet") as promise:
        _write(store, "model", "one", data_seq=11)
        promise.require(store.current("model") is None, "it is current")
        promise.require(len(store.versions("model")) == 1, f"{len(store.versions('model'))} versions")
        promise.require(
            _raises(NotReadyError, lambda: store.promote("model", "no-such")), "an unknown one was promoted"
        )
    with Promise(name, "promote makes the newest version current, with what is known of it") as promise:
        manifest = store.promote("model")
        _require_manifest(promise, manifest, data_seq=11)
        promise.require(_read(store, "model") == "one", f"its file holds {_read(store, 'model')!r}")
        found = store.current("model")
        promise.require(found is not None and found[1] == manifest, "current has another manifest")
    with Promise(name, "rollback makes current what was so before") as promise:
        promise.require(_raises(NotReadyError, lambda: store.rollback("model")), "there was nothing before, yet it did")
        promise.require(_read(store, "model") == "one", "a refused rollback changed what is current")
        _write(store, "model", "two")
        promise.require(_read(store, "model") == "one", "writing changed what is current")
    with Promise(
        name, "open gives any version and leaves what is current; NotReadyError for an unknown one"
    ) as promise:
        versions = [manifest.version for manifest in store.versions("model")]
        opened = [(store.open("model", version)[0] / "weights.txt").read_text(encoding="utf-8") for version in versions]
        promise.require(opened == ["one", "two"], f"its files hold {opened}")
        promise.require(_read(store, "model") == "one", "opening changed what is current")
        promise.require(_raises(NotReadyError, lambda: store.open("model", "no-such")), "an unknown one was opened")
        store.promote("model")
        promise.require(_read(store, "model") == "two", "the newest version is not current")
        store.rollback("model")
        promise.require(_read(store, "model") == "one", "it is not")
    with Promise(name, "a version can be promoted by name; versions are listed oldest first") as promise:
        versions = store.versions("model")
        promise.require(len({manifest.version for manifest in versions}) == 2, f"{versions}")
        store.promote("model", versions[-1].version)
        promise.require(_read(store, "model") == "two", "the named version is not current")
    with Promise(name, "a version that was written can be promoted by the name it was given") as promise:
        written = [_write(store, "named", content) for content in ("first", "second")]
        for version, content in zip(written, ("first", "second"), strict=True):
            promoted = store.promote("named", version).version
            promise.require(promoted == version, f"asked for version {version!r}, it promoted {promoted!r}")
            promise.require(_read(store, "named") == content, f"version {version!r} holds {_read(store, 'named')!r}")
    with Promise(name, "models do not know of each other") as promise:
        _write(store, "other", "three")
        promise.require(store.current("other") is None and len(store.versions("model")) == 2, "they do")
    with Promise(name, "the models that have a current version are named, and no others") as promise:
        promise.require(store.names() == ["model", "named"], f"names are {store.names()}")


def _require_manifest(promise: Promise, manifest: Manifest, data_seq: int) -> None:
    told = (manifest.name, manifest.kind, manifest.data_seq, dict(manifest.config), dict(manifest.metrics))
    wanted = ("model", "Kind", data_seq, CONFIG, {"recall@10": 0.25})
    promise.require(told == wanted, f"the manifest says {told}, wanted {wanted}")
    files = {name.replace("\\", "/") for name in manifest.files}
    promise.require(files == {"weights.txt", "inner/more.txt"}, f"the manifest names the files {sorted(files)}")


def _hides_what_failed(name: str, store: ArtifactStore) -> None:
    with Promise(name, "a version whose writing failed is never visible, and the error comes through") as promise:
        before = store.versions("model")

        def fail() -> None:
            with store.write("model", "Kind", data_seq=0, config={}, metrics={}) as draft:
                (draft.folder / "weights.txt").write_text("half", encoding="utf-8")
                raise _Interrupted

        promise.require(_raises(_Interrupted, fail), "the error was swallowed")
        promise.require(store.versions("model") == before, "it is listed")
        promise.require(_read(store, "model") == "two", "it changed what is current")


def _is_there_again(name: str, make: Callable[[Path], ArtifactStore], folder: Path) -> None:
    with Promise(name, "what was promoted is current when the store is opened again") as promise:
        again = make(folder)
        promise.require(_read(again, "model") == "two", "it is not")
        promise.require(len(again.versions("model")) == 2, f"{len(again.versions('model'))} versions, wanted 2")


def _notices_damage(name: str, store: ArtifactStore) -> None:
    with Promise(name, "files are checked against the manifest when opened (CorruptError)") as promise:
        for harm in ("changed", "missing"):
            model = f"harmed-{harm}"
            _write(store, model, "whole")
            store.promote(model)
            found = store.current(model)
            promise.require(found is not None, "it was promoted and is not current")
            if found is not None:
                path = found[0] / "inner" / "more.txt"
                path.chmod(0o600)
                path.unlink() if harm == "missing" else path.write_text("wholewhola", encoding="utf-8")
                noticed = _raises(CorruptError, lambda model=model: store.current(model))
                promise.require(noticed, f"a {harm} file was not noticed")


def _takes_many_writers(name: str, store: ArtifactStore) -> None:
    with Promise(name, "several threads may write and promote; a reader always sees a whole version") as promise:

        def work(number: int) -> None:
            for round_ in range(3):
                if number == 0:
                    found = _read(store, "busy")
                    promise.require(found is None or set(found) <= set("0123-"), f"a reader saw {found!r}")
                else:
                    _write(store, "busy", f"{number}-{round_}")
                    store.promote("busy")

        in_threads(work)
        versions = [manifest.version for manifest in store.versions("busy")]
        promise.require(len(set(versions)) == len(versions), f"versions {versions} are not distinct")
        promise.require(_read(store, "busy") is not None, "nothing is current")


def _raises(kind: type[Exception], call: Callable[[], object]) -> bool:
    """Whether ``call`` raises exactly what was promised; another error comes through."""
    try:
        call()
    except kind:
        return True
    return False
