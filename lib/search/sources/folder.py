"""Documents in a folder of this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from lib.search.sources.files import Listing, StoredFile, file_changes
from lib.search.sources.model import Change, Progress, Skipped, SourceError, no_progress
from lib.search.sources.readers import MAX_FILE_BYTES, ReadError

LEADS_OUT = "It is a link that leads out of the folder, or nowhere."


@dataclass(frozen=True)
class Folder:
    """A folder and all below it, without what is hidden (names that start with a dot)."""

    path: Path
    metadata: str = ""  # the folder below it with the metadata files; "" is beside the documents

    @property
    def name(self) -> str:
        """Return what tells this source from all others."""
        return f"folder {self.path.absolute()}"

    def changes(
        self, known: Mapping[str, str], progress: Progress = no_progress
    ) -> Iterator[Change]:
        """Yield what differs from the documents known; raises `SourceError`."""
        yield from file_changes(list_folder(self.path), known, self.metadata, progress)


def list_folder(path: Path) -> Listing:
    """Return the files below a folder; raises `SourceError` where it cannot be opened."""
    root = path.resolve()
    if not root.is_dir():
        raise SourceError(f"There is no folder {path}: create it, or name another.")
    files: list[StoredFile] = []
    skipped: list[Skipped] = []
    closed: list[str] = []

    def cannot_open(error: OSError) -> None:
        if Path(error.filename) == root:
            raise SourceError(f"The folder {path} cannot be opened: {error.strerror}.")
        folder = Path(error.filename).relative_to(root).as_posix()
        closed.append(f"{folder}/")
        skipped.append(Skipped(f"{_shown(folder)}/", f"It cannot be opened: {error.strerror}."))

    for parent, folders, names in os.walk(root, onerror=cannot_open):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(set(links + names)):
            if name.startswith("."):
                continue
            found = _stored(root, Path(parent, name))
            if isinstance(found, StoredFile):
                files.append(found)
            elif found:
                skipped.append(found)
    return Listing(tuple(files), tuple(skipped), tuple(closed))


def _stored(root: Path, path: Path) -> StoredFile | Skipped | None:
    """Return a file, why it is none, or None for a link to a folder that is walked anyway."""
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
        target = path.resolve(strict=True)
        status = target.stat()
    except UnicodeEncodeError:
        return Skipped(_shown(name), "Its name is not UTF-8: rename it.")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = LEADS_OUT if path.is_symlink() else f"It cannot be opened: {error}."
        return Skipped(name, reason)
    if not target.is_relative_to(root):
        return Skipped(name, LEADS_OUT)
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return Skipped(name, "It is no regular file.")
    return StoredFile(
        name=name,
        size=status.st_size,
        stamp=f"{status.st_size}-{status.st_mtime_ns}",
        read=partial(_read, target),
        modified=datetime.fromtimestamp(int(status.st_mtime), UTC),
    )


def _read(path: Path) -> bytes:
    """Return a file's content, up to one byte more than the limit."""
    try:
        # Whoever exchanged the file for a link or a pipe since it was listed gets nowhere.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - pathlib opens no descriptors
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ReadError(f"It cannot be read: {error.strerror}.") from None


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()
