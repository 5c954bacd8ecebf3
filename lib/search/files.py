"""Files of named arrays: aligned raw numbers that are memory-mapped, with sizes and checksums.

A file holds its arrays one after another, each at a multiple of 64 bytes; then a table of contents
(JSON: type, offset, length and CRC-32 of each array), then a trailer of fixed size with the length
and CRC-32 of the table and the size of the whole file. So a file that was cut is noticed when it
is opened, and any other damage by `verify_arrays`.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

ALIGNMENT = 64
_MAGIC = b"SLARRAY1"
_TRAILER = struct.Struct("<QQI4x8s")  # file size, table length, table CRC-32, magic


class IndexDamaged(Exception):  # noqa: N818 - the name says what the index is
    """The files of an index are not as they were written; the message says which."""

    def __init__(self, file: str, what: str) -> None:
        super().__init__(f"The search index is damaged: {file} {what}. Build the index again.")


class ArrayFile:
    """A file of arrays being written. Arrays may be filled in turns, each from its beginning.

    Two threads may write different arrays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._types: dict[str, np.dtype[Any]] = {}
        self._lengths: dict[str, int] = {}
        self._offsets: dict[str, int] = {}
        self._written: dict[str, int] = {}  # bytes
        self._checksums: dict[str, int] = {}
        self._end = 0
        self._reserving = threading.Lock()
        self._file = path.open("xb", buffering=0)

    def write(self, name: str, array: Array) -> None:
        """Write a whole array; raises `OSError` where the disk takes no more."""
        self.reserve(name, array.dtype, len(array))
        self.append(name, array)

    def reserve(self, name: str, dtype: npt.DTypeLike, length: int) -> None:
        """Make room for an array that will be appended in parts."""
        kind = np.dtype(dtype)
        with self._reserving:
            self._types[name], self._lengths[name] = kind, length
            self._written[name] = self._checksums[name] = 0
            self._offsets[name] = self._end
            self._end += math.ceil(length * kind.itemsize / ALIGNMENT) * ALIGNMENT

    def append(self, name: str, chunk: Array) -> None:
        """Write the next numbers of an array; raises `OSError` where the disk takes no more."""
        numbers = np.ascontiguousarray(chunk, self._types[name])
        if not len(numbers):
            return
        data = numbers.data.cast("B")
        _write_at(self._file.fileno(), self._offsets[name] + self._written[name], data)
        self._written[name] += len(data)
        self._checksums[name] = zlib.crc32(data, self._checksums[name])

    def close(self) -> int:
        """Write the table of contents and return the file's size in bytes."""
        table = json.dumps(
            {
                name: [dtype.str, self._offsets[name], self._length(name), self._checksums[name]]
                for name, dtype in self._types.items()
            }
        ).encode()
        size = self._end + len(table) + _TRAILER.size
        trailer = _TRAILER.pack(size, len(table), zlib.crc32(table), _MAGIC)
        _write_at(self._file.fileno(), self._end, memoryview(table + trailer))
        self._file.close()
        return size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is not None:
            self._path.unlink(missing_ok=True)

    def _length(self, name: str) -> int:
        length = self._lengths[name]
        if self._written[name] != length * self._types[name].itemsize:
            raise ValueError(f"Array {name} of {self._path.name} was not filled.")
        return length


def write_arrays(path: Path, arrays: Arrays) -> int:
    """Write arrays to a new file and return its size in bytes; raises `OSError`."""
    with ArrayFile(path) as file:
        for name, array in arrays.items():
            file.write(name, array)
        return file.close()


class MappedArrays(Mapping[str, Array]):
    """The read-only arrays of a file, read from the disk where they are looked at."""

    def __init__(self, mapped: mmap.mmap, arrays: Arrays) -> None:
        self._mapped = mapped
        self._arrays = arrays

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def release(self) -> None:
        """Give back the memory of what was looked at; it is read again when it is needed."""
        self._mapped.madvise(mmap.MADV_DONTNEED)


def open_arrays(path: Path, size: int) -> MappedArrays:
    """Return the memory-mapped arrays of a file that must have `size` bytes.

    Raises `FileNotFoundError`, and `IndexDamaged` where the file was cut or is another.
    """
    mapped = _mapped(path, size)
    arrays = {
        name: np.frombuffer(mapped, dtype, length, offset)
        for name, (dtype, offset, length, _checksum) in _contents(path, mapped).items()
    }
    return MappedArrays(mapped, arrays)


def verify_arrays(path: Path, size: int) -> None:
    """Read a whole file and raise `IndexDamaged` where it is not as it was written."""
    mapped = _mapped(path, size)
    for name, (dtype, offset, length, checksum) in _contents(path, mapped).items():
        array = np.frombuffer(mapped, dtype, length, offset)
        if zlib.crc32(array.data.cast("B") if length else b"") != checksum:
            raise IndexDamaged(path.name, f"has other contents in {name} than were written")


def check_size(path: Path, size: int, *, may_grow: bool = False) -> None:
    """Raise `IndexDamaged` where a file has another size; one that is gone stays mapped whole."""
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return
    if found < size or (found > size and not may_grow):
        raise IndexDamaged(path.name, _other_size(found, size))


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk; raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mapped(path: Path, size: int) -> mmap.mmap:
    with path.open("rb") as file:
        found = os.fstat(file.fileno()).st_size
        if found != size or found < _TRAILER.size:
            raise IndexDamaged(path.name, _other_size(found, size))
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _other_size(found: int, size: int) -> str:
    return f"has {found:,} bytes instead of {size:,}"


def _contents(path: Path, mapped: mmap.mmap) -> dict[str, tuple[str, int, int, int]]:
    end = len(mapped) - _TRAILER.size
    size, length, checksum, magic = _TRAILER.unpack(mapped[end:])
    table = mapped[max(end - length, 0) : end]
    if magic != _MAGIC or size != len(mapped) or zlib.crc32(table) != checksum:
        raise IndexDamaged(path.name, "does not end as it was written")
    contents: dict[str, tuple[str, int, int, int]] = json.loads(table)
    return contents


def _write_at(descriptor: int, offset: int, data: memoryview) -> None:
    while len(data):
        written = os.pwrite(descriptor, data, offset)
        offset += written
        data = data[written:]
