"""A saved model as the model.tar.gz that SageMaker unpacks in front of its container, and back.

The container looks for `config.json`, weights and tokenizer at the root of the archive, and for
code of one's own in `code/inference.py`.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from lib.summarize.model_folder import TOKENIZERS

CHUNK_BYTES = 1 << 20
COMPRESSION = 1  # weights hardly shrink, so the fastest level
MOST_FILES = 10_000
MOST_BYTES = 100 << 30
WEIGHTS = (".safetensors", ".bin")
MOST_UNPACKED_BYTES = 20 << 30  # on this machine: four times the largest model that is of use here
MOST_RATIO = 100  # unpacked to packed bytes; weights shrink by a tenth, vocabularies tenfold
RATIO_FREE_BYTES = 64 << 20  # up to here any ratio is harmless
MOST_HEADER_BYTES = 1 << 20  # of one entry: names and attributes of any length are read into memory
HOW_TO_SAVE = "Save model and tokenizer into one folder with their save_pretrained()."

# ValueError is what tarfile raises for headers of sparse files that make no sense.
_BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError)

Progress = Callable[[float], None]


class PackingError(ValueError):
    """A folder or archive that is no model for SageMaker; the message says why."""


class Sink(Protocol):
    """Where an archive is written to."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""
        ...

    def flush(self) -> object:
        """Do nothing more than the sink does by itself."""
        ...


def pack(folder: Path, sink: Sink, progress: Progress) -> None:
    """Write a model folder as tar.gz, the same bytes for the same files.

    Files are read once and nothing is stored on the way. `progress` hears the fraction read, 0 to
    1, and may raise to stop. Raises `PackingError` where the folder holds no model, and `OSError`.
    """
    files = model_files(folder)
    total = sum(size for _, size in files) or 1
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done / total)

    with (
        gzip.GzipFile("", "wb", COMPRESSION, sink, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, size in files:
            entry = tarfile.TarInfo(name)  # owner root, mode 0644, time 0
            entry.size = size
            with (folder / name).open("rb") as content:
                archive.addfile(entry, _Counted(content, advance))


def model_files(folder: Path) -> tuple[tuple[str, int], ...]:
    """Return name and size in bytes of the files of a model folder, in order.

    Hidden files are left out. Raises `PackingError` for links and for what is no saved model.
    """
    if not folder.is_dir():
        raise PackingError(f"There is no folder {folder} on this machine.")
    found = tuple(sorted(_walk(folder)))
    names = {name for name, _ in found}
    missing = [
        what
        for what, there in (
            ("config.json", "config.json" in names),
            ("weights (.safetensors or .bin)", any(_is_weights(name) for name in names)),
            ("a tokenizer", any(name in names for name in TOKENIZERS)),
        )
        if not there
    ]
    if missing:
        raise PackingError(f"The folder {folder} lacks {', '.join(missing)}. {HOW_TO_SAVE}")
    return found


def check_archive(path: Path, progress: Progress) -> None:
    """Read a model.tar.gz through and raise `PackingError` where SageMaker could not use it."""
    if not path.is_file():
        raise PackingError(f"There is no file {path} on this machine.")
    total = path.stat().st_size or 1
    names: set[str] = set()
    size = 0
    with (
        _refusing(str(path)),
        path.open("rb") as raw,
        gzip.open(raw) as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as archive,
    ):
        for entry in archive:
            _check_entry(entry)
            names.add(str(PurePosixPath(entry.name)))
            size += entry.size
            if len(names) > MOST_FILES or size > MOST_BYTES:
                raise PackingError(
                    f"{path} unpacks to more than {MOST_FILES:,} files or "
                    f"{MOST_BYTES >> 30} GB: that is no summarization model."
                )
            progress(min(1.0, raw.tell() / total))
        while unpacked.read(CHUNK_BYTES):
            pass  # to the checksum at the end
    if "config.json" not in names:
        raise PackingError(
            f"{path} has no config.json at its root, where the container looks for it. "
            "Pack the files themselves, not the folder around them."
        )


def unpack(
    path: Path, folder: Path, wanted: Callable[[str], bool], progress: Progress
) -> frozenset[str]:
    """Write the wanted files at the root of an archive into a folder; return all names there.

    Nothing else is written, and no entry may lead out of the archive or be a link or device.
    Raises `PackingError` for those, for what unpacks to too much, and for what is no archive.
    """
    total = path.stat().st_size or 1
    names: set[str] = set()
    entries = size = 0
    with (
        _refusing("The archive"),
        path.open("rb") as raw,
        gzip.open(raw) as unpacked,
        tarfile.open(
            fileobj=cast("BinaryIO", guarded := _Guarded(unpacked, raw)), mode="r|"
        ) as archive,
    ):
        for entry in archive:
            _check_entry(entry)
            entries, size = entries + 1, size + entry.size
            if entries > MOST_FILES or size > MOST_UNPACKED_BYTES:
                raise PackingError(
                    f"The archive unpacks to more than {MOST_FILES:,} files or "
                    f"{MOST_UNPACKED_BYTES >> 30} GB: that is no summarization model."
                )
            guarded.allow(entry.size)
            name = str(PurePosixPath(entry.name))
            names.add(name)
            if entry.isreg() and "/" not in name and wanted(name):
                _write_entry(archive, entry, folder / name, lambda: progress(raw.tell() / total))
            progress(min(1.0, raw.tell() / total))
        while guarded.read(CHUNK_BYTES):
            pass  # to the checksum at the end
    return frozenset(names)


def copy(path: Path, sink: Sink, progress: Progress) -> None:
    """Write a file as it is; `progress` hears the fraction written and may raise to stop."""
    total, done = path.stat().st_size or 1, 0
    with path.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            sink.write(chunk)
            done += len(chunk)
            progress(done / total)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Raise `PackingError` for an archive that cannot be read."""
    try:
        yield
    except PackingError:
        raise
    except _BROKEN:
        raise PackingError(f"{name} is no complete tar.gz: pack or copy it again.") from None


class _Counted:
    """A file to read from that tells how much was read."""

    def __init__(self, content: BinaryIO, advance: Callable[[int], None]) -> None:
        self._content = content
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        chunk = self._content.read(size)
        self._advance(len(chunk))
        return chunk


class _Guarded:
    """The content of a packed file; raises `PackingError` where it grows out of all proportion."""

    def __init__(self, unpacked: gzip.GzipFile, raw: BinaryIO) -> None:
        self._unpacked = unpacked
        self._raw = raw
        self._done = 0
        self._until = MOST_HEADER_BYTES

    def allow(self, size: int) -> None:
        """Let an entry of this size be read, and the header behind it."""
        self._until = self._done + size + MOST_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        chunk = self._unpacked.read(size)
        self._done += len(chunk)
        ratio = self._done / max(1, self._raw.tell())
        if self._done > self._until or (self._done > RATIO_FREE_BYTES and ratio > MOST_RATIO):
            raise PackingError(
                "The archive unpacks to far more than a model of its size would: it was not "
                "unpacked. Pack the model again."
            )
        return chunk


def _write_entry(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path, advance: Callable[[], None]
) -> None:
    content = archive.extractfile(entry)
    assert content is not None  # noqa: S101  # a regular file has content
    try:
        with target.open("xb") as file:
            while chunk := content.read(CHUNK_BYTES):
                file.write(chunk)
                advance()
    except FileExistsError:
        raise PackingError(f"The archive has {entry.name} twice: pack it again.") from None


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (*folders, *files):
            if name.startswith("."):
                continue
            path = Path(at, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                yield path.relative_to(folder).as_posix(), status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                raise PackingError(
                    f"{path} is a link or no ordinary file, which could lead out of the folder. "
                    f"{HOW_TO_SAVE}"
                )


def _is_weights(name: str) -> bool:
    return "/" not in name and name.endswith(WEIGHTS) and name != "training_args.bin"


def _check_entry(entry: tarfile.TarInfo) -> None:
    name = PurePosixPath(entry.name)
    if name.is_absolute() or ".." in name.parts:
        raise PackingError(f"The archive's entry {entry.name} leads out of it: pack it again.")
    if not (entry.isreg() or entry.isdir()) or entry.issparse():
        raise PackingError(
            f"The archive's entry {entry.name} is a link or no ordinary file: pack it again with "
            "the files themselves."
        )
