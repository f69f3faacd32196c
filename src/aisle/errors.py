"""Every error the package raises, by who must act on it.

    AisleError
    ├── ConfigError          the operator: a setting, a mapping or a command line is wrong
    ├── DataError            the owner of the data: a source, row or field is wrong
    ├── NotReadyError        the operator: something must be run first (import, train)
    ├── UnavailableError     nobody yet: try again (locked database, full disk, a server that does not answer)
    ├── CorruptError         the operator: a file of the shop is damaged; the message names the repair
    ├── ContractError        the author of a plug-in: an implementation broke its contract
    └── PrivacyRefusal       nobody: the request asks for what must not be given

A message says what happened, the value received, what is allowed and what to do next. It never holds personal data.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AisleError(Exception):
    """Root of the tree; catch it to catch everything the package raises on purpose."""


class ConfigError(AisleError):
    """A setting is wrong. ``setting`` is its dotted name, e.g. ``placement.home.size``."""

    def __init__(self, message: str, *, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class DataError(AisleError):
    """Data cannot be accepted. ``source`` is a file or table, ``row`` counts from 1, ``field`` is a column."""

    def __init__(
        self, message: str, *, source: str | None = None, row: int | None = None, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.source = source
        self.row = row
        self.field = field


class NotReadyError(AisleError):
    """Something must be done first; ``command`` is what to run."""

    def __init__(self, message: str, *, command: str | None = None) -> None:
        super().__init__(message)
        self.command = command


class UnavailableError(AisleError):
    """A resource does not answer now; trying again later may work."""


class CorruptError(AisleError):
    """A file of the shop is damaged. ``path`` names it; the message says how it is rebuilt.

    ``may_pass``: it could not be read just now, and what it holds may be sound.
    """

    def __init__(self, message: str, *, path: str | None = None, may_pass: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.may_pass = may_pass


class ContractError(AisleError):
    """An implementation or plug-in does not keep its contract."""


class PrivacyRefusal(AisleError):
    """The request asks for what must not be given."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not known: the known ones and the closest."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {name!r}.{hint} Known: {', '.join(names) or 'none'}."
