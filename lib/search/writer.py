"""The one writer of an index: adds, replaces and deletes documents, and commits.

Nothing is visible before `commit`, and a commit is visible as a whole: new files are written and
synced, then the manifest is replaced in one step. After a kill at any point the last commit is
what readers see, and the next writer removes what was left behind.

Documents wait until there are enough for a segment, then two threads work on them: one finds their
words, one sorts and writes these, largely in loops that leave the interpreter to the caller's.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from lib.search.analysis import Vocabulary
from lib.search.blobs import blob_of, hash_ids, mark_dead
from lib.search.builder import Analysed, Schema, analyse, build_segment
from lib.search.compiled import U8, U32, U64
from lib.search.files import IndexDamaged, MappedArrays, open_arrays, sync, write_arrays
from lib.search.index import (
    MANIFEST,
    AttributeEntry,
    FileEntry,
    Lines,
    LinesEntry,
    Manifest,
    SegmentEntry,
    access_of,
    access_value,
    manifest_text,
    open_live,
    read_manifest,
)
from lib.search.merger import Source, merge_segments
from lib.search.model import Document
from lib.search.segment import Blob

LOCK = "lock"
SEGMENT_DOCUMENTS = 250_000  # a segment is written once so many documents,
SEGMENT_CHARACTERS = 1 << 24  # or so much text, are waiting
IN_FLIGHT = 2  # segments in the other threads while the next one's documents wait
MAX_FORMS = 1_000_000  # the vocabulary is dropped beyond this many
SMALL_SEGMENT = 10_000  # documents; smaller ones count as this large when they are merged
MERGE_FACTOR = 4  # so many segments of about the same size are merged
MAX_SEGMENTS = 256  # files open at once; from so many on segments are merged before the commit
LARGEST_SEGMENT = 1 << 34  # bytes: then all its positions can be numbered with 32 bits
MAX_DEAD = 0.3  # a segment with more of its documents dead is written anew
MAX_PROBLEMS = 1_000
_NEVER = 1 << 30  # collections of the middle generation before one of the old


class IndexBusy(Exception):  # noqa: N818 - the name says what the index is
    """Another writer is at work on the index."""


class IndexWriteError(Exception):
    """The disk took no more; what was committed before is unharmed."""


@dataclass
class _Part:
    """A segment as the writer holds it; `live` is a copy of its own once it changes."""

    entry: SegmentEntry
    arrays: MappedArrays
    live: U8
    changed: bool = False

    @property
    def count(self) -> int:
        return len(self.live)

    def alive(self) -> int:
        return int(np.count_nonzero(self.live))


def fault(error: OSError) -> str:
    """Return what an error of the disk says, and what to do where the disk is full."""
    words = f"{error.strerror or error}."
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return f"{words} Make room on the disk, then index again." if is_full else words


def open_writer(folder: Path, *, rebuild: bool = False) -> Writer:
    """Return the writer of the index in a folder, which is made if need be.

    With `rebuild` it begins with no documents, even where the index is damaged; readers see the
    old index until the first commit. Raises `IndexBusy` while there is another writer,
    `IndexDamaged`, and `IndexWriteError`.
    """
    with _disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(lock)
        with _disk_errors():
            return Writer(folder, lock, rebuild=rebuild)
    except BaseException:
        os.close(lock)
        raise


class Writer:
    """Changes one index; use it in a `with` block, which drops what was not committed."""

    def __init__(self, folder: Path, lock: int, *, rebuild: bool) -> None:
        self._folder = folder
        self._lock = lock
        self._vocabulary = Vocabulary()
        self._start_threads()
        self._manifest = Manifest() if rebuild else read_manifest(folder)
        self._replaced = {path.name for path in _files(folder)} if rebuild else set()
        self._published = not rebuild and (folder / MANIFEST).exists()
        self._next_file = 1 + max((int(path.stem) for path in _files(folder)), default=0)
        self._load()
        self._clean()
        if not (self._replaced or (folder / MANIFEST).exists()):
            # From now on files without a manifest are a damage, not a first commit under way.
            self._publish()

    def add(self, documents: Iterable[Document]) -> tuple[str, ...]:
        """Add documents, each in place of an earlier one with its id.

        Returns sentences about attribute values that were left out because their type is another
        than before (at most 1,000 of them). Raises `IndexWriteError`, perhaps for documents added
        before; everything since the last commit is dropped then.
        """
        problems: list[str] = []
        with _few_collections():
            for document in documents:
                left_out = self._schema.problems(document)
                if left_out:
                    problems.extend(sentence for _name, sentence in left_out)
                    del problems[MAX_PROBLEMS:]
                    names = {name for name, _sentence in left_out}
                    kept = {k: v for k, v in document.attributes.items() if k not in names}
                    self._wait(replace(document, attributes=kept))
                else:
                    self._wait(document)
        return tuple(problems)

    def delete(self, ids: Iterable[str]) -> None:
        """Delete the documents with these ids; ids that there are not are passed over."""
        wanted = set(ids)
        for each in wanted & self._waiting.keys():
            self._characters -= _size(self._waiting.pop(each))
        blob = blob_of(wanted)
        with self._dropping_on_error():
            self._finish_building()
            self._mark_dead(*hash_ids(blob), blob)

    def commit(self) -> int:
        """Make everything visible at once and return the version; raises `IndexWriteError`.

        Segments of about the same size are merged before, so that there are few.
        """
        with self._dropping_on_error():
            self._flush()
            self._finish_building()
            while group := self._due():
                self._merge(group)
            self._publish()
        return self._manifest.version

    def merge(self) -> int:
        """Commit with all segments merged to one, unless it would be beyond 16 GiB.

        Returns the version; raises `IndexWriteError`.
        """
        with self._dropping_on_error():
            self._flush()
            self._finish_building()
            is_one = len(self._parts) == 1 and self._parts[0].alive() == self._parts[0].count
            if not is_one and _bytes(self._parts) < LARGEST_SEGMENT:
                self._merge(self._parts)
            self._publish()
        return self._manifest.version

    def close(self) -> None:
        """Drop what was not committed and let other writers in."""
        if self._lock >= 0:
            self._stop_threads()
            self._clean()
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _load(self) -> None:
        """Go back to the last commit."""
        self._waiting: dict[str, Document] = {}
        self._characters = 0
        self._parts = [self._open_part(entry) for entry in self._manifest.segments]
        attributes = self._manifest.attributes
        lines = {name: each.values for name, each in attributes.items() if each.values}
        access = self._manifest.access
        self._schema = Schema(
            {name: each.type for name, each in attributes.items()},
            {name: Lines(self._folder, each).values() for name, each in lines.items()},
            map(access_of, Lines(self._folder, access).values() if access else ()),
        )

    def _open_part(self, entry: SegmentEntry) -> _Part:
        path = self._folder / entry.arrays.name
        try:
            arrays = open_arrays(path, entry.arrays.size)
            live = open_live(self._folder, entry)
        except FileNotFoundError as error:
            raise IndexDamaged(Path(error.filename).name, "is missing") from error
        return _Part(entry, arrays, arrays["live"] if live is None else live)

    def _wait(self, document: Document) -> None:
        old = self._waiting.pop(document.id, None)
        if old:
            self._characters -= _size(old)
        self._waiting[document.id] = document
        self._characters += _size(document)
        if len(self._waiting) >= SEGMENT_DOCUMENTS or self._characters >= SEGMENT_CHARACTERS:
            with self._dropping_on_error():
                self._flush()

    def _flush(self) -> None:
        """Have the waiting documents written as a segment, after those before them."""
        if not self._waiting:
            return
        documents = list(self._waiting.values())
        self._waiting, self._characters = {}, 0
        analysed = self._analyser.submit(self._analyse, documents)
        self._building.append(self._builder.submit(self._build, documents, analysed))
        self._finish_building(IN_FLIGHT)

    def _start_threads(self) -> None:
        self._analyser = ThreadPoolExecutor(1, "search-words")
        self._builder = ThreadPoolExecutor(1, "search-segments")
        self._building: deque[Future[None]] = deque()

    def _stop_threads(self) -> None:
        self._analyser.shutdown()
        self._builder.shutdown()

    def _finish_building(self, left: int = 0) -> None:
        """Wait until so many segments are left in the other threads; raises what they raised."""
        while len(self._building) > left:
            self._building.popleft().result()

    def _analyse(self, documents: Sequence[Document]) -> Analysed:
        if len(self._vocabulary.forms) > MAX_FORMS:
            self._vocabulary = Vocabulary()
        return analyse(documents, self._vocabulary)

    def _build(self, documents: Sequence[Document], analysed: Future[Analysed]) -> None:
        """Write a segment. Until it has finished, the caller's thread leaves segments alone."""
        arrays = build_segment(documents, analysed.result(), self._schema)
        ids = Blob(arrays["ids.offsets"], arrays["ids.bytes"])
        self._mark_dead(arrays["id_hashes"], arrays["id_documents"], ids)
        path = self._new_file("segment")
        size = write_arrays(path, arrays)
        self._parts.append(self._open_part(SegmentEntry(FileEntry(path.name, size))))
        if len(self._parts) >= MAX_SEGMENTS:
            self._merge(self._due())

    def _mark_dead(self, hashes: U64, holders: U32, ids: Blob) -> None:
        for part in self._parts:
            live = part.live.copy()
            arrays = part.arrays
            dead = mark_dead(
                hashes,
                holders,
                ids.offsets,
                ids.bytes,
                arrays["id_hashes"],
                arrays["id_documents"],
                arrays["ids.offsets"],
                arrays["ids.bytes"],
                live,
            )
            if dead:
                part.live, part.changed = live, True

    def _due(self) -> Sequence[_Part]:
        """Return segments to merge now, in order, or none."""
        alive = {id(part): part.alive() for part in self._parts}
        for part in self._parts:
            if part.count - alive[id(part)] > MAX_DEAD * part.count:
                return [part]
        sizes = {key: max(count, SMALL_SEGMENT) for key, count in alive.items()}
        for limit in sorted(set(sizes.values()), reverse=True):
            near = [p for p in self._parts if limit / MERGE_FACTOR < sizes[id(p)] <= limit]
            group = [part for part in self._parts if sizes[id(part)] <= limit]
            if len(near) >= MERGE_FACTOR and _bytes(group) < LARGEST_SEGMENT:
                return group
        return ()

    def _merge(self, parts: Sequence[_Part]) -> None:
        chosen = {id(part) for part in parts}
        rest = [part for part in self._parts if id(part) not in chosen]
        alive = [part for part in parts if part.alive()]
        if sum(part.count for part in alive) > SEGMENT_DOCUMENTS:
            self._vocabulary = Vocabulary()  # makes room for the merged one; soon learnt again
        if alive:
            path = self._new_file("segment")
            sources = [Source(part.arrays, part.live.astype(np.bool_)) for part in alive]
            size = merge_segments(sources, self._schema, path)
            rest.append(self._open_part(SegmentEntry(FileEntry(path.name, size))))
        self._parts = rest
        needed = self._manifest.files() | self._replaced
        for part in parts:
            if part.entry.arrays.name not in needed:
                (self._folder / part.entry.arrays.name).unlink()

    def _publish(self) -> None:
        """Make the present state the last commit."""
        for part in self._parts:
            if part.changed:
                path = self._new_file("live")
                file = FileEntry(path.name, write_arrays(path, {"live": part.live}))
                part.entry, part.changed = replace(part.entry, live=file), False
        old = self._manifest
        manifest = Manifest(
            old.version,
            tuple(part.entry for part in self._parts),
            self._attribute_entries(),
            self._access_entry(),
        )
        if manifest == old and self._published:
            return
        manifest = replace(manifest, version=max(old.version + 1, time.time_ns() // 1000))
        unchanged = old.files() - {lines.name for lines in old.lines()}
        for name in manifest.files() - unchanged:
            sync(self._folder / name)
        aside = self._folder / f"{MANIFEST}.new"
        aside.write_text(manifest_text(manifest), "utf-8")
        sync(aside)
        sync(self._folder)
        aside.rename(self._folder / MANIFEST)
        sync(self._folder)
        self._manifest, self._published = manifest, True
        self._replaced = set()
        self._clean()

    def _attribute_entries(self) -> dict[str, AttributeEntry]:
        entries = {}
        for name, kind in self._schema.types.items():
            old = self._manifest.attributes.get(name, AttributeEntry(kind))
            lines = old.values
            if name in self._schema.values:
                numbering = self._schema.values[name]
                new = numbering.after(lines.count if lines else 0)
                lines = self._append_lines(lines, new)
            entries[name] = AttributeEntry(kind, lines)
        return entries

    def _access_entry(self) -> LinesEntry | None:
        old = self._manifest.access
        new = self._schema.access.after(old.count if old else 0)
        if old is None and not new:
            return None
        return self._append_lines(old, [access_value(access) for access in new])

    def _append_lines(self, entry: LinesEntry | None, values: Sequence[Any]) -> LinesEntry:
        if entry is None:
            path = self._new_file("lines")
            entry = LinesEntry(path.name)
            path.touch(exist_ok=False)
        if not values:
            return entry
        data = "".join(json.dumps(value) + "\n" for value in values).encode()
        with (self._folder / entry.name).open("r+b") as file:
            file.truncate(entry.size)  # what an unfinished commit may have left
            file.seek(entry.size)
            file.write(data)
        return LinesEntry(
            entry.name,
            entry.count + len(values),
            entry.size + len(data),
            zlib.crc32(data, entry.checksum),
        )

    def _clean(self) -> None:
        """Remove the files that the last commit does not name."""
        named = self._manifest.files() | self._replaced
        for path in _files(self._folder):
            if path.name not in named:
                path.unlink(missing_ok=True)
        (self._folder / f"{MANIFEST}.new").unlink(missing_ok=True)

    def _new_file(self, kind: str) -> Path:
        self._next_file += 1
        return self._folder / f"{self._next_file - 1:08d}.{kind}"

    @contextmanager
    def _dropping_on_error(self) -> Iterator[None]:
        """Go back to the last commit where the disk takes no more."""
        try:
            with _disk_errors():
                yield
        except BaseException:
            self._stop_threads()
            self._start_threads()
            self._load()
            self._clean()
            raise


def _lock(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise IndexBusy(
            "The index is being written by another process. Wait until it has finished."
        ) from None


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IndexWriteError(
            f"The index could not be written. What was committed before is unharmed. {fault(error)}"
        ) from error


@contextmanager
def _few_collections() -> Iterator[None]:
    """Have unused cycles looked for among new objects alone.

    Otherwise waiting documents are gone through again and again, a fifth of the time of indexing.
    """
    young, middle, old = gc.get_threshold()
    if old == _NEVER:  # another writer's thread restores it
        yield
        return
    gc.set_threshold(young, middle, _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(young, middle, old)


def _bytes(parts: Sequence[_Part]) -> int:
    return sum(part.entry.arrays.size for part in parts)


def _size(document: Document) -> int:
    return len(document.title) + len(document.text)


def _files(folder: Path) -> list[Path]:
    return [
        path
        for pattern in ("*.segment", "*.live", "*.lines")
        for path in folder.glob(pattern)
        if path.stem.isdigit()
    ]
