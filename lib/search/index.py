"""The index on disk as its readers see it: the last commit, memory-mapped.

A folder holds `manifest.json`, which names everything that belongs to the last commit, and the
files it names: `N.segment` (arrays of a segment), `N.live` (which of its documents are live, once
some are not), and `N.lines` (values of an attribute, or access lists: one JSON value a line, only
ever appended to; the manifest says how many bytes count). A commit writes and syncs new files
first, then replaces the manifest in one step. Files no longer named are removed; whoever still has
them open goes on reading them.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lib.search.builder import segment_of
from lib.search.compiled import U8
from lib.search.files import IndexDamaged, check_size, open_arrays, verify_arrays
from lib.search.model import Access, Attribute, AttributeType, Principals
from lib.search.segment import Dictionary, Segment

MANIFEST = "manifest.json"
FORMAT = 2  # an index of another one is built again
Stamp = tuple[int, int, int]  # inode, time of change and size of a file


@dataclass(frozen=True)
class FileEntry:
    """A file of arrays and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class SegmentEntry:
    """The files of a segment: its arrays, and its live documents where some are not."""

    arrays: FileEntry
    live: FileEntry | None = None


@dataclass(frozen=True)
class LinesEntry:
    """The part of a file of lines that is committed: values, bytes and their CRC-32."""

    name: str
    count: int = 0
    size: int = 0
    checksum: int = 0


@dataclass(frozen=True)
class AttributeEntry:
    """An attribute's type, and its values if they are texts."""

    type: AttributeType
    values: LinesEntry | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything that belongs to one commit."""

    version: int = 0
    segments: tuple[SegmentEntry, ...] = ()
    attributes: Mapping[str, AttributeEntry] = field(default_factory=dict)
    access: LinesEntry | None = None

    def files(self) -> set[str]:
        """Return the names of all files of the commit."""
        names = {segment.arrays.name for segment in self.segments}
        names |= {segment.live.name for segment in self.segments if segment.live}
        return names | {lines.name for lines in self.lines()}

    def lines(self) -> list[LinesEntry]:
        """Return the files of lines."""
        every = [attribute.values for attribute in self.attributes.values()]
        return [lines for lines in [*every, self.access] if lines]


class Lines:
    """The committed part of a file of lines: one JSON value a line, decoded when asked for."""

    def __init__(self, folder: Path, entry: LinesEntry) -> None:
        self.entry = entry
        with (folder / entry.name).open("rb") as file:
            if os.fstat(file.fileno()).st_size < entry.size:
                raise IndexDamaged(entry.name, f"has fewer than {entry.size:,} bytes")
            self._data = (
                mmap.mmap(file.fileno(), entry.size, access=mmap.ACCESS_READ) if entry.size else b""
            )

    def values(self) -> list[Any]:
        """Return the values; raises `IndexDamaged` where they are not as they were written."""
        if zlib.crc32(self._data) != self.entry.checksum:
            raise IndexDamaged(self.entry.name, "has other contents than were written")
        values: list[Any] = json.loads(b"[" + b",".join(self._data[:].splitlines()) + b"]")
        return values


class Dictionaries(Mapping[str, Dictionary]):
    """The dictionary of each attribute of texts, decoded when it is first asked for."""

    def __init__(self, lines: Mapping[str, Lines]) -> None:
        self._lines = lines
        self._decoded: dict[str, Dictionary] = {}

    def __getitem__(self, name: str) -> Dictionary:
        if name not in self._decoded:
            self._decoded[name] = Dictionary(tuple(self._lines[name].values()))
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(frozen=True)
class Index:
    """One commit of an index. It stays as it is, whatever is committed afterwards.

    `attributes` counts the different values of texts; numbers and dates have no dictionary and
    say 0. A segment has no column for an attribute that none of its documents has.
    """

    folder: Path
    version: int
    segments: tuple[Segment, ...]
    dictionaries: Mapping[str, Dictionary]
    attributes: tuple[Attribute, ...]
    access_lists: tuple[Access, ...]
    manifest: Manifest
    stamp: Stamp | None  # of the manifest's file

    def refresh(self) -> Index:
        """Return the index of the newest commit: this one if there is no newer one.

        Segments that belong to both are the same objects. Raises `IndexDamaged`, also where a
        file of this commit was cut: to read on in its map would end the process.
        """
        if _stamp(self.folder) == self.stamp:
            self._check_sizes()
            return self
        known = dict(zip(self.manifest.segments, self.segments, strict=True))
        return _open(self.folder, known)

    def _check_sizes(self) -> None:
        for entry in self.manifest.segments:
            for file in (entry.arrays, entry.live):
                if file:
                    check_size(self.folder / file.name, file.size)
        for lines in self.manifest.lines():
            check_size(self.folder / lines.name, lines.size, may_grow=True)

    def verify(self) -> None:
        """Read every file and raise `IndexDamaged` where one is not as it was written."""
        for entry in self.manifest.segments:
            for file in (entry.arrays, entry.live):
                if file:
                    verify_arrays(self.folder / file.name, file.size)
        for lines in self.manifest.lines():
            Lines(self.folder, lines).values()


def open_index(folder: Path) -> Index:
    """Return the index of the last commit in a folder: an empty one where nothing was committed.

    Sizes and the ends of all files are checked, not their contents (see `Index.verify`). Raises
    `IndexDamaged` with a sentence; the index must then be built again.
    """
    return _open(folder, {})


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the last commit; raises `IndexDamaged` where it cannot be read."""
    try:
        text = (folder / MANIFEST).read_text("utf-8")
    except FileNotFoundError:
        if any(folder.glob("*.segment")):
            raise IndexDamaged(MANIFEST, "is missing") from None
        return Manifest()
    try:
        raw = json.loads(text)
        if raw["format"] != FORMAT:
            raise IndexDamaged(MANIFEST, f"has format {raw['format']} instead of {FORMAT}")
        return _manifest_of(raw)
    except (ValueError, KeyError, TypeError) as error:
        raise IndexDamaged(MANIFEST, "cannot be read") from error


def manifest_text(manifest: Manifest) -> str:
    """Return a manifest as JSON."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1)


def access_value(access: Access) -> list[list[str]]:
    """Return an access list as it is kept in its line."""
    return [
        sorted(names)
        for principals in (access.allowed, access.denied)
        for names in (principals.users, principals.groups)
    ]


def access_of(value: list[list[str]]) -> Access:
    """Return the access list of a line."""
    users, groups, denied_users, denied_groups = map(frozenset, value)
    return Access(Principals(users, groups), Principals(denied_users, denied_groups))


def _stamp(folder: Path) -> Stamp | None:
    try:
        found = (folder / MANIFEST).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _open(folder: Path, known: Mapping[SegmentEntry, Segment]) -> Index:
    while True:
        stamp = _stamp(folder)
        try:
            return _open_files(folder, stamp, known)
        except (FileNotFoundError, IndexDamaged) as error:
            # A commit since the manifest was read may have removed or replaced the file.
            if _stamp(folder) != stamp:
                continue
            if isinstance(error, IndexDamaged):
                raise
            raise IndexDamaged(Path(error.filename).name, "is missing") from error


def _open_files(folder: Path, stamp: Stamp | None, known: Mapping[SegmentEntry, Segment]) -> Index:
    manifest = read_manifest(folder)
    lines = {
        name: Lines(folder, entry.values)
        for name, entry in manifest.attributes.items()
        if entry.values
    }
    access = Lines(folder, manifest.access).values() if manifest.access else []
    return Index(
        folder=folder,
        version=manifest.version,
        segments=tuple(
            known[entry] if entry in known else open_segment(folder, entry)
            for entry in manifest.segments
        ),
        dictionaries=Dictionaries(lines),
        attributes=tuple(
            Attribute(name, entry.type, entry.values.count if entry.values else 0)
            for name, entry in sorted(manifest.attributes.items())
        ),
        access_lists=tuple(access_of(value) for value in access),
        manifest=manifest,
        stamp=stamp,
    )


def open_segment(folder: Path, entry: SegmentEntry) -> Segment:
    """Return a segment; raises `FileNotFoundError` and `IndexDamaged`."""
    arrays = open_arrays(folder / entry.arrays.name, entry.arrays.size)
    return segment_of(arrays, open_live(folder, entry))


def open_live(folder: Path, entry: SegmentEntry) -> U8 | None:
    """Return which documents of a segment are live if some are not; raises as `open_segment`."""
    if entry.live is None:
        return None
    return open_arrays(folder / entry.live.name, entry.live.size)["live"]


def _manifest_of(raw: dict[str, Any]) -> Manifest:
    return Manifest(
        version=raw["version"],
        segments=tuple(
            SegmentEntry(
                FileEntry(**each["arrays"]), FileEntry(**each["live"]) if each["live"] else None
            )
            for each in raw["segments"]
        ),
        attributes={
            name: AttributeEntry(
                AttributeType(each["type"]),
                LinesEntry(**each["values"]) if each["values"] else None,
            )
            for name, each in raw["attributes"].items()
        },
        access=LinesEntry(**raw["access"]) if raw["access"] else None,
    )
