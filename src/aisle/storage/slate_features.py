"""A slate's features as a few hundred bytes, and back, to the last bit.

Enters: ``Features``. Leaves: the hash of their names, which are stored once for all slates, and the numbers deflated.
Numbers of one feature stand together and so do equal bytes of floats: a feature of the user, the same in every slot,
then costs next to nothing.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import orjson

from aisle.domain import Features
from aisle.storage.schema import CONTENT_HASH_BYTES

_FASTEST = 1
_FLOAT_BYTES = 4


@lru_cache(maxsize=64)
def encode_names(names: tuple[str, ...]) -> tuple[bytes, str]:
    """The hash under which these names are kept, and the names as they are kept."""
    text = orjson.dumps(names)
    return blake2b(text, digest_size=CONTENT_HASH_BYTES).digest(), text.decode()


@lru_cache(maxsize=64)
def decode_names(text: str) -> tuple[str, ...]:
    """The names, from what ``encode_names`` gave."""
    return tuple(orjson.loads(text))


def encode_features(features: Features) -> bytes:
    """The numbers, deflated, without their names."""
    columns = np.ascontiguousarray(features.values.T, dtype="<f4")  # (n_features, n_slots)
    planes = columns.view(np.uint8).reshape(-1, _FLOAT_BYTES).T  # (4, n_features * n_slots)
    return zlib.compress(planes.tobytes(), _FASTEST)


def decode_features(names: tuple[str, ...], n_slots: int, stored: bytes) -> Features:
    """The features of ``n_slots`` slots, from what ``encode_features`` gave."""
    planes = np.frombuffer(zlib.decompress(stored), dtype=np.uint8).reshape(_FLOAT_BYTES, -1)
    columns = np.ascontiguousarray(planes.T).view("<f4").reshape(len(names), n_slots)
    return Features(names, np.ascontiguousarray(columns.T, dtype=np.float32))
