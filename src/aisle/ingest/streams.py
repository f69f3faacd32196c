"""Bytes of one source: unpacked, re-encoded to UTF-8 and counted, so that no file can ask for unbounded memory.

Enters: a path and the limits. Leaves: a readable binary stream. Knows nothing of rows.
"""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from aisle.errors import DataError
from aisle.ingest.limits import MIB, LimitsConfig

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_FOREIGN = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "a 7z archive"}
_CHUNK = MIB


class Unpacked(io.RawIOBase):
    """A decompressed stream that stops when it has grown past what real data does (a zip bomb)."""

    def __init__(self, file: BinaryIO, compression: str, limits: LimitsConfig, name: str) -> None:
        self._file = file
        self._stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), compression)
        self._limits = limits
        self._name = name
        self._n_out = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Bytes of the packed file read so far."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, at most one MiB; empty at the end."""
        try:
            data = self._stream.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{self._name} cannot be unpacked after {self._n_out} bytes: {error}; is it cut short or damaged?",
                source=self._name,
            ) from error
        self._n_out += len(data)
        self._check()
        return data

    def _check(self) -> None:
        limits = self._limits
        if self._n_out > limits.max_decompressed_bytes:
            raise DataError(
                f"{self._name} unpacks to more than {limits.max_decompressed_bytes} bytes; split it or raise "
                "max_decompressed_bytes",
                source=self._name,
            )
        n_in = max(self._file.tell(), 1)
        if self._n_out > limits.expansion_grace_bytes and self._n_out > limits.max_expansion * n_in:
            raise DataError(
                f"{self._name} unpacks to {self._n_out // n_in} times its size so far (a zip bomb?); allowed are "
                f"{limits.max_expansion:g}; if it is yours, unpack it first",
                source=self._name,
            )


class Recoded(io.RawIOBase):
    """A stream in another encoding, read as UTF-8."""

    def __init__(self, stream: io.RawIOBase | BinaryIO, encoding: str, name: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._name = name
        self._n_in = 0
        self._left = b""
        self._is_over = False

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes of UTF-8; empty at the end."""
        while not self._left and not self._is_over:
            data = self._stream.read(_CHUNK) or b""
            self._is_over = not data
            try:
                self._left = self._decoder.decode(data, final=self._is_over).encode()
            except (UnicodeDecodeError, UnicodeEncodeError) as error:
                raise DataError(
                    f"{self._name} is not {self._encoding}: {error.reason} near byte {self._n_in + error.start}; state "
                    'its encoding in the mapping, e.g. [csv] encoding = "gb18030"',
                    source=self._name,
                ) from error
            self._n_in += len(data)
        size = len(self._left) if size < 0 else size
        data, self._left = self._left[:size], self._left[size:]
        return data


def encoding_of(lines: bytes) -> str:
    """``utf-8``, or ``gb18030`` where whole lines are not UTF-8 but Chinese text in that encoding."""
    try:
        lines.decode()
    except UnicodeDecodeError:
        try:
            text = lines.decode("gb18030")
        except UnicodeDecodeError:
            return "utf-8"  # reading it will say what is wrong
        foreign = [character for character in text if not character.isascii()]
        is_chinese = sum("\u4e00" <= character <= "\u9fff" for character in foreign) > len(foreign) / 2
        return "gb18030" if is_chinese else "utf-8"
    return "utf-8"


@contextmanager
def open_stream(path: Path, limits: LimitsConfig) -> Iterator[BinaryIO]:
    """The bytes of ``path``, unpacked when its first bytes say that it is packed.

    Raises:
        DataError: absent, not a file, or packed in a way that is not read here.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}", source=str(path)) from error
    with file:
        head = file.read(8)
        file.seek(0)
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise DataError(f"{path.name} is {what}; unpack it, or pack it as .gz or .zst", source=str(path))
        compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
        expected = COMPRESSIONS.get(path.suffix)
        if expected is not None and compression != expected and head:
            raise DataError(f"{path.name} is named {path.suffix} but is not {expected}", source=str(path))
        yield file if compression is None else Unpacked(file, compression, limits, path.name)  # type: ignore[misc]


def read_fingerprint(path: Path) -> str:
    """A hash of the whole content of ``path`` (BLAKE2b, about 1 GB/s)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


_UNPRINTED = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1b")
"""Control characters that text files do not have; of random bytes they are every tenth."""


def refuse_foreign_text(head: bytes, name: str) -> None:
    """Raise ``DataError`` when the first bytes cannot be UTF-8 text: UTF-16, Parquet or other binary data."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f'{name} is UTF-16; say [csv] encoding = "utf-16" or save it as UTF-8', source=name)
    if head.startswith(b"PAR1"):
        raise DataError(f'{name} is Parquet; name it .parquet or state format = "parquet"', source=name)
    if head.count(b"\x00") * 20 > len(head):
        raise DataError(f"{name} is not text: many NUL bytes in its first {len(head)} bytes", source=name)
    if (len(head) - len(head.translate(None, _UNPRINTED))) * 50 > len(head):
        raise DataError(
            f"{name} is not text: many control characters in its first {len(head)} bytes; give CSV, JSON, JSONL or "
            "Parquet, or state the encoding in the mapping",
            source=name,
        )
