"""Documents uploaded from a browser, kept in a folder until somebody removes them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from lib.search.sources.files import Listing, StoredFile, file_changes
from lib.search.sources.metadata import SUFFIX
from lib.search.sources.model import Change, Progress, SourceError, no_progress
from lib.search.sources.readers import ReadError, file_type

MEGABYTE = 1024 * 1024
MAX_FILES = 5_000
MAX_BYTES = 2_000_000_000  # of all files of a folder
MAX_NAME_CHARACTERS = 200

_NAME, _CONTENT = ".name", ".content"


@dataclass(frozen=True)
class Uploads:
    """The files kept in a folder. A name given to a file is data in it and never a path."""

    folder: Path

    @property
    def name(self) -> str:
        """Return what tells this source from all others."""
        return f"uploads {self.folder.name}"

    def changes(
        self, known: Mapping[str, str], progress: Progress = no_progress
    ) -> Iterator[Change]:
        """Yield what differs from the documents known."""
        files = Listing(tuple(_stored(key, name) for name, key in self._keys().items()))
        yield from file_changes(files, known, "", progress)

    def names(self) -> tuple[str, ...]:
        """Return the names of the files, metadata files included, in order."""
        return tuple(sorted(self._keys()))

    def keep(self, files: Mapping[str, bytes], limit_mb: int) -> None:
        """Keep files, each in place of an earlier one of its name; all of them or none.

        Each has up to `limit_mb` megabytes. Raises `SourceError` with a sentence where a file
        cannot be one of a document, or there is no room for it.
        """
        named = {_checked_name(name): content for name, content in files.items()}
        for name, content in named.items():
            if len(content) > limit_mb * MEGABYTE:
                megabytes = len(content) / MEGABYTE
                raise SourceError(f"{name} has {megabytes:,.1f} MB; the limit is {limit_mb} MB.")
        self._check_room(named)
        contents: dict[Path, bytes] = {}
        for name, content in named.items():
            key = self.folder / hashlib.sha256(name.encode()).hexdigest()
            contents |= {key.with_suffix(_CONTENT): content, key.with_suffix(_NAME): name.encode()}
        try:
            _write(contents)
        except OSError as error:
            raise SourceError(
                f"The files cannot be kept: {error.strerror}. Make room on the disk, then upload "
                "them again."
            ) from error

    def remove(self, names: Iterable[str]) -> None:
        """Remove files by their names; one that is not there is no error."""
        keys = self._keys()
        for name in names:
            if name in keys:
                keys[name].with_suffix(_NAME).unlink(missing_ok=True)
                keys[name].with_suffix(_CONTENT).unlink(missing_ok=True)

    def _check_room(self, more: Mapping[str, bytes]) -> None:
        sizes = {
            name: key.with_suffix(_CONTENT).stat().st_size for name, key in self._keys().items()
        }
        sizes |= {name: len(content) for name, content in more.items()}
        if len(sizes) > MAX_FILES:
            raise SourceError(
                f"These would be {len(sizes):,} files in one collection; the limit is "
                f"{MAX_FILES:,}. Make another collection, or index a folder or bucket."
            )
        if sum(sizes.values()) > MAX_BYTES:
            raise SourceError(
                f"These would be {sum(sizes.values()):,} bytes in one collection; the limit is "
                f"{MAX_BYTES:,}. Make another collection, or index a folder or bucket."
            )

    def _keys(self) -> dict[str, Path]:
        return {path.read_text("utf-8"): path for path in sorted(self.folder.glob(f"*{_NAME}"))}


def _checked_name(name: str) -> str:
    name = unicodedata.normalize("NFC", name).strip()
    try:
        is_text = name.isprintable() and bool(name.encode())
    except UnicodeEncodeError:
        is_text = False
    if not is_text or len(name) > MAX_NAME_CHARACTERS:
        raise SourceError(
            f"A file's name has 1 to {MAX_NAME_CHARACTERS} printable characters: rename it."
        )
    if not name.endswith(SUFFIX):
        try:
            file_type(name)
        except ReadError as error:
            raise SourceError(f"{name} was not taken. {error}") from None
    return name


def _stored(key: Path, name: str) -> StoredFile:
    status = key.with_suffix(_CONTENT).stat()
    return StoredFile(
        name=name,
        size=status.st_size,
        stamp=f"{status.st_size}-{status.st_mtime_ns}",
        read=partial(_read, key.with_suffix(_CONTENT)),
        modified=datetime.fromtimestamp(int(status.st_mtime), UTC),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReadError(f"It cannot be read: {error.strerror}.") from None


def _write(contents: Mapping[Path, bytes]) -> None:
    # Aside first: whoever reads sees the old content or the new one, and a full disk changes none.
    suffix = f".{uuid4().hex}.new"
    asides = {path: path.with_name(path.name + suffix) for path in contents}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            asides[path].write_bytes(content)
    except OSError:
        for aside in asides.values():
            aside.unlink(missing_ok=True)
        raise
    for path, aside in asides.items():
        aside.replace(path)
