"""Many texts encoded by many processes, on the machines of a Ray cluster, through Ray Data.

Enters: texts, and a way to open the encoder. Leaves: the vectors that the encoder here would give, as they come. Few
texts are encoded here, as starting processes takes longer. What becomes of the vectors is not known here.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aisle import errors
from aisle.contracts import Encoder, Float32Array, Progress, Rows, silent
from aisle.errors import AisleError, ConfigError, ContractError, CorruptError, UnavailableError
from aisle.settings import RayEncodingConfig
from aisle.training.cluster import connected, first_line, ray_modules

_SETTING = "encoder.ray"
_STANDSTILL_SECONDS = 1800.0
"""After which a run in which nothing moves is given up, such as on a cluster whose machines all left."""


class RayEncoder:
    """An encoder of long lists of texts, each process with the model loaded once.

    Every text is encoded once, whatever fails on the way: a process that dies is started again and its batch repeated,
    ``retries`` times at most; an error that the encoder raises is not tried again.
    """

    def __init__(self, encoder: Encoder, opened: Callable[[], Encoder], config: RayEncodingConfig) -> None:
        """Nothing is started yet.

        Args:
            encoder: encodes short lists, here; of the same fingerprint.
            opened: opens the encoder in a process; sent there.
            config: where, and by how many.
        """
        self._encoder = encoder
        self._opened = opened
        self._config = config

    @property
    def fingerprint(self) -> str:
        """The encoder's: the vectors are the same."""
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(len(texts), dimension) float32 unit rows.

        Raises:
            ConfigError: Ray is not installed, or no machine of the cluster is large enough, or has another model.
            UnavailableError: the cluster does not answer, or processes die again and again.
            ContractError: the encoder raised what encoders do not raise.
        """
        if len(texts) < self._config.least_texts:
            return self._encoder.encode(texts, progress=progress)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        done = 0
        for rows, found in self.in_parts(texts, progress=progress):
            vectors[rows] = found
            done += len(rows)
            progress("encode", done, len(texts))
        return vectors

    def in_parts(self, texts: Sequence[str], *, progress: Progress = silent) -> Generator[tuple[Rows, Float32Array]]:
        """Rows (k,) of ``texts`` and their vectors (k, dimension), as they come, every row once; raises as ``encode``.

        ``progress`` hears of the start.
        """
        size = self._config.batch_size
        if len(texts) < self._config.least_texts:
            for start in range(0, len(texts), size):
                some = texts[start : start + size]
                yield np.arange(start, start + len(some)), self._encoder.encode(some)
            return
        from aisle.language.batches import clean  # brings tokenizers

        ray, data = ray_modules("ray", "ray.data", wanted_by="[encoder.ray]", setting=_SETTING)
        progress("start Ray", 0, 1)
        n_cpus = self._config.processes * self._config.cpus
        with connected(ray, self._config.address, n_cpus=n_cpus, setting=f"{_SETTING}.address"):
            _require_room(ray, self._config)
            progress("start Ray", 1, 1)
            with closing(self._streamed(data, clean(texts))) as parts:
                yield from parts

    def _streamed(self, data: Any, texts: Sequence[str]) -> Generator[tuple[Rows, Float32Array]]:
        n_done = 0
        try:
            for batch in self._pipeline(data, texts).iter_batches(batch_size=None, batch_format="numpy"):
                for said in batch["said"].tolist():
                    if said:
                        kind, message = json.loads(said)
                        raise getattr(errors, kind)(message)
                n_done += len(batch["row"])
                yield batch["row"], np.asarray(batch["vector"], dtype=np.float32)
        except AisleError:
            raise
        except Exception as error:  # Ray raises whatever its parts raise
            raise UnavailableError(
                f"encoding on Ray ended after {n_done} of {len(texts)} texts: {first_line(error)}; a process that dies "
                "again and again mostly lacks memory: lower encoder.ray.processes or encoder.batch_size, then run the "
                "same again"
            ) from error
        if n_done != len(texts):
            raise CorruptError(f"Ray gave vectors of {n_done} texts, of {len(texts)} that it was given; run it again")

    def _pipeline(self, data: Any, texts: Sequence[str]) -> Any:
        """The run as Ray Data sees it; lazy."""
        import pyarrow as pa

        config = self._config
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # failures are told in our words
        tables = [
            pa.table({"row": np.arange(start, start + len(some)), "text": pa.array(some, pa.large_string())})
            for start in range(0, len(texts), config.batch_size)
            if (some := texts[start : start + config.batch_size])
        ]
        with _set(data.DataContext.get_current(), config), warnings.catch_warnings():
            # Ray 2.60 calls max_restarts and max_task_retries outdated and offers nothing else; without them a batch
            # that kills its process is repeated for ever.
            warnings.simplefilter("ignore", DeprecationWarning)
            return data.from_arrow(tables).map_batches(
                EncodingProcess,
                fn_constructor_args=(self._opened, self.fingerprint, self.dimension),
                batch_size=config.batch_size,
                compute=data.ActorPoolStrategy(size=config.processes),
                num_cpus=config.cpus,
                num_gpus=config.gpus,
                max_restarts=config.retries,
                max_task_retries=config.retries,
            )


@contextmanager
def _set(context: Any, config: RayEncodingConfig) -> Iterator[None]:
    """Settings of Ray Data, which a data set takes with it when it is made."""
    wanted = {
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "max_errored_blocks": 0,  # a batch that fails is not left out
        "max_consecutive_actor_init_deaths": config.retries,  # as loading a model may be killed
        "execution_no_progress_timeout_s": _STANDSTILL_SECONDS,
    }
    before = {name: getattr(context, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


class EncodingProcess:
    """What runs in each process: the model, loaded once.

    What goes wrong is sent as a row's words, as Ray keeps only the text of an error, among pages of its own.
    """

    def __init__(self, opened: Callable[[], Encoder], fingerprint: str, dimension: int) -> None:
        """Open the encoder; that it cannot be is told with the first texts, as Ray starts what fails here again."""
        self._dimension = dimension
        self._refused = ""
        try:
            self._encoder = opened()
            found = self._encoder.fingerprint
        except Exception as error:  # whatever a plug-in raises; told with the texts
            self._refused = _told(error)
            return
        if found != fingerprint:  # its vectors would lie beside others' without meaning
            message = (
                f"a machine of the cluster has encoder {found}, this one {fingerprint}; give all the same model and "
                "version of aisle"
            )
            self._refused = _told(ConfigError(message))

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Rows and texts (k,) to rows and vectors (k, dimension), and what went wrong (k,), "" where nothing did."""
        n_texts, said = len(batch["row"]), self._refused
        vectors = np.zeros((n_texts, self._dimension), dtype=np.float32)
        if not said:
            try:
                vectors = self._encoder.encode(batch["text"].tolist())
            except Exception as error:  # as above
                said = _told(error)
        return {"row": batch["row"], "vector": vectors, "said": np.array([said] * n_texts)}


def _told(error: Exception) -> str:
    if isinstance(error, AisleError):
        return json.dumps([type(error).__name__, str(error)])
    return json.dumps([ContractError.__name__, f"the encoder failed on Ray: {type(error).__name__}: {error}"])


def _require_room(ray: Any, config: RayEncodingConfig) -> None:
    """Refuse at once what would wait for ever: a process that no machine of the cluster can hold."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(one.get("CPU", 0) >= config.cpus and one.get("GPU", 0) >= config.gpus for one in machines):
        largest = ", ".join(sorted({f"{one.get('CPU', 0):g} and {one.get('GPU', 0):g}" for one in machines}))
        raise ConfigError(
            f"no machine of the cluster has the {config.cpus} CPUs and {config.gpus:g} GPUs that encoder.ray.cpus and "
            f"encoder.ray.gpus ask for each process; there are machines of {largest or 'none'}",
            setting=_SETTING,
        )
