"""Who may use the interface: keys, their roles, and how a request shows one.

Enters: the ``Authorization`` or ``X-API-Key`` header of a request. Leaves: the key's holder, or nobody. A token is
``aisle_<id>_<secret>``; only its SHA-256 is kept, which is enough because the secret is 256 random bits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from typing import Literal, get_args

from starlette.datastructures import Headers

from aisle.contracts import Clock
from aisle.errors import AisleError, ConfigError, UnavailableError, unknown_name
from aisle.storage.keys import KeyRecord, SqlKeys

log = logging.getLogger("aisle.serving")

Role = Literal["read", "write", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Ascending: each may do what those before it may."""

FRESH_SECONDS = 1.0
"""How long a process believes what it read of the keys: a revoked key works no longer than that."""
BELIEVED_SECONDS = 30.0
"""The same while the keys cannot be read again; then nobody is let in, for a key may have been revoked meanwhile."""
_PREFIX = "aisle"
_NOBODY = bytes(32)


class Keys:
    """The keys of a shop as one serving process knows them. Safe to use from several threads."""

    def __init__(self, records: SqlKeys, seconds: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._seconds = seconds
        self._known = {record.key_id: record for record in records.read()}
        self._tried_at = self._read_at = seconds()

    def holder(self, token: str) -> KeyRecord | None:
        """The key that ``token`` is, unless it is unknown or revoked.

        Raises:
            UnavailableError: the keys could not be read for ``BELIEVED_SECONDS``.
        """
        self._refresh()
        key_id = key_id_of(token)
        record = self._known.get(key_id) if key_id else None
        # Compared even where there is no such key, so that time does not tell which ids exist.
        is_right = hmac.compare_digest(record.token_hash if record else _NOBODY, token_hash(token))
        return record if record is not None and is_right and record.revoked_ms is None else None

    def close(self) -> None:
        """Let go of the file."""
        self._records.close()

    def _refresh(self) -> None:
        now = self._seconds()
        if now - self._tried_at >= FRESH_SECONDS:
            self._tried_at = now
            try:
                self._known = {record.key_id: record for record in self._records.read()}
                self._read_at = now
            except AisleError as error:
                what = "the keys cannot be read again now; those known before count for %g s in all: %s"
                log.warning(what, BELIEVED_SECONDS, error)
        if now - self._read_at >= BELIEVED_SECONDS:
            raise UnavailableError("the keys cannot be read at this moment; try again in a moment")


def add_key(records: SqlKeys, name: str, role: str, clock: Clock) -> tuple[str, KeyRecord]:
    """Make a key; returns its token, which is kept nowhere, and what is kept of it.

    Raises:
        ConfigError: there is no such role.
    """
    if role not in ROLES:
        raise ConfigError(unknown_name("role", role, ROLES))
    key_id = secrets.token_hex(6)
    token = f"{_PREFIX}_{key_id}_{secrets.token_hex(32)}"
    record = KeyRecord(key_id, name, role, token_hash(token), clock())
    records.append(record)
    return token, record


def token_hash(token: str) -> bytes:
    """SHA-256 of a token, (32,) bytes."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def key_id_of(token: str) -> str | None:
    """The public part of a token; None for text that is no token."""
    parts = token.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == _PREFIX else None


def token_of(headers: Headers) -> str | None:
    """The token that a request shows: as a bearer, as ``X-API-Key``, or as the password a browser asked for."""
    given = headers.get("authorization")
    if given is None:
        return headers.get("x-api-key")
    scheme, _, value = given.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def may(held: str, needed: Role) -> bool:
    """Whether the role ``held`` includes ``needed``."""
    return held in ROLES and ROLES.index(held) >= ROLES.index(needed)
