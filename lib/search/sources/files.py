"""What folder, uploads and bucket have in common: files, their metadata files, and what changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from lib.search.model import Document, Value
from lib.search.sources.metadata import SUFFIX, Metadata, MetadataError, parse_metadata
from lib.search.sources.model import Change, Changed, Progress, Removed, Skipped, SourceError
from lib.search.sources.readers import (
    MAX_FILE_BYTES,
    ReadError,
    Reading,
    file_type,
    read_file,
    read_rows,
)

METADATA_SHUT = "Its metadata file cannot be read."
METADATA_GONE = (
    "Its metadata file is gone, so the document stays as it was. Put the file back, or one of {} "
    "alone to open the document to everybody."
)

_NONE = "-"  # instead of the stamp of a metadata file


@dataclass(frozen=True)
class StoredFile:
    """A file of a source, not yet read."""

    name: str  # its path in the source, with /
    size: int  # bytes
    stamp: str  # without spaces; another one when the content may be another
    read: Callable[[], bytes]  # raises `ReadError`
    uri: str = ""
    modified: datetime | None = None


@dataclass(frozen=True)
class Listing:
    """The files of a source, those it cannot offer, and folders whose files are not known."""

    files: tuple[StoredFile, ...]
    skipped: tuple[Skipped, ...] = ()
    closed: tuple[str, ...] = ()  # folders, each with a / at its end


@dataclass(frozen=True)
class Fingerprint:
    """What is remembered of a document: its file, the file's stamp, and a digest of both files."""

    stamp: str
    digest: str
    name: str

    def __str__(self) -> str:
        """Return the fingerprint as text."""
        return f"{self.stamp} {self.digest} {self.name}"

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Return the fingerprint that a text holds."""
        stamp, digest, name = text.split(" ", 2)
        return cls(stamp, digest, name)


@dataclass(frozen=True)
class _Pair:
    """A document's file and the metadata file that describes it."""

    file: StoredFile
    metadata: StoredFile | None

    @property
    def stamp(self) -> str:
        return f"{self.file.stamp}/{self.metadata.stamp if self.metadata else _NONE}"


class _Memory:
    """What was indexed before, by file, and which file each document is from now."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._before: dict[str, Fingerprint] = {}
        self.owner: dict[str, str] = {}
        self._known = known
        self._ids: dict[str, list[str]] = {}
        for id_, text in known.items():
            fingerprint = Fingerprint.parse(text)
            self._before[fingerprint.name] = fingerprint
            self._ids.setdefault(fingerprint.name, []).append(id_)

    def stamp(self, name: str) -> str | None:
        """Return the stamp that a file and its metadata had, None where they are new."""
        before = self._before.get(name)
        return before.stamp if before else None

    def was_described(self, name: str) -> bool:
        """Tell whether a file had a metadata file."""
        stamp = self.stamp(name)
        return stamp is not None and not stamp.endswith(f"/{_NONE}")

    def digest(self, name: str) -> str | None:
        """Return the digest that a file and its metadata had, None where they are new."""
        before = self._before.get(name)
        return before.digest if before else None

    def below(self, folders: tuple[str, ...]) -> set[str]:
        """Return the files that lay in some folders."""
        return {name for name in self._before if name.startswith(folders)}

    def keep(self, name: str) -> None:
        """Leave the documents of a file as they are."""
        self.owner.update((id_, name) for id_ in self._ids.get(name, ()))

    def claim(self, documents: Iterable[Document], name: str) -> None:
        """Note which file documents are from; raises `ReadError` where another has their id."""
        ids = [document.id for document in documents]
        for id_ in ids:
            other = self.owner.get(id_, name)
            if other != name:
                raise ReadError(f"{other} has the same DocumentId, {id_}: give it another.")
        self.owner.update((id_, name) for id_ in ids)

    def gone(self) -> Iterator[str]:
        """Yield the documents that no file has any more."""
        return (id_ for id_ in self._known if id_ not in self.owner)


def file_changes(
    listing: Listing, known: Mapping[str, str], metadata_folder: str, progress: Progress
) -> Iterator[Change]:
    """Yield what differs between files and the documents known.

    A file is read only where its stamp, or that of its metadata, is another, and parsed only where
    its content is. A file that cannot be read, or whose metadata cannot or is gone, keeps the
    documents of its last good version. Raises `SourceError` where a folder of metadata files is
    named and holds none.
    """
    _check_metadata_folder(listing, metadata_folder)
    memory = _Memory(known)
    pairs, orphans = _pair(listing.files, metadata_folder)
    yield from (*listing.skipped, *orphans)
    barred = _barred(pairs, listing, metadata_folder, memory)
    for name, reason in barred.items():
        memory.keep(name)
        yield Skipped(name, reason)
    pairs = [pair for pair in pairs if pair.file.name not in barred]
    unread = [pair for pair in pairs if pair.stamp != memory.stamp(pair.file.name)]
    read = {pair.file.name for pair in pairs} - {pair.file.name for pair in unread}
    for name in read | memory.below(listing.closed):
        memory.keep(name)
    for position, pair in enumerate(unread):
        progress(position / len(unread))
        yield from _read_pair(pair, memory)
    yield from map(Removed, memory.gone())


def _pair(files: Iterable[StoredFile], metadata_folder: str) -> tuple[list[_Pair], list[Skipped]]:
    """Return each document's file with its metadata file, and metadata files without a document."""
    prefix = _prefix(metadata_folder)
    described: dict[str, StoredFile] = {}
    documents: list[StoredFile] = []
    for file in files:
        if _describes(file, prefix):
            described[file.name[len(prefix) : -len(SUFFIX)]] = file
        elif not (prefix and file.name.startswith(prefix)):
            documents.append(file)
    documents.sort(key=lambda file: file.name)
    pairs = [_Pair(file, described.pop(file.name, None)) for file in documents]
    orphans = [
        Skipped(file.name, f"There is no document {name} that it could describe.")
        for name, file in sorted(described.items())
    ]
    return pairs, orphans


def _prefix(metadata_folder: str) -> str:
    return f"{metadata_folder.strip('/')}/" if metadata_folder.strip("/") else ""


def _check_metadata_folder(listing: Listing, metadata_folder: str) -> None:
    # Deleted, renamed or not mounted, it would open every document to everybody.
    prefix = _prefix(metadata_folder)
    is_closed = any(f.startswith(prefix) or prefix.startswith(f) for f in listing.closed)
    if prefix and not (is_closed or any(_describes(file, prefix) for file in listing.files)):
        raise SourceError(
            f"There are no metadata files below {prefix}, so who may find the documents is not "
            "known. Put the files back, or add the documents again without a place for metadata."
        )


def _describes(file: StoredFile, prefix: str) -> bool:
    return file.name.startswith(prefix) and file.name.endswith(SUFFIX)


def _barred(
    pairs: Iterable[_Pair], listing: Listing, metadata_folder: str, memory: _Memory
) -> dict[str, str]:
    """Return why files are left alone whose metadata, which says who may find them, is missing."""
    prefix, found = _prefix(metadata_folder), dict[str, str]()
    shut = {name.rstrip("/") for name in (*listing.closed, *(s.name for s in listing.skipped))}
    for name in (pair.file.name for pair in pairs if pair.metadata is None):
        path = PurePosixPath(f"{prefix}{name}{SUFFIX}")
        if not shut.isdisjoint(map(str, (path, *path.parents))):
            found[name] = METADATA_SHUT
        elif memory.was_described(name):
            found[name] = METADATA_GONE
    return found


def _read_pair(pair: _Pair, memory: _Memory) -> Iterator[Change]:
    name = pair.file.name
    try:
        described = pair.metadata.read() if pair.metadata else None
        metadata = _metadata(described)
        kind = file_type(name, metadata.content_type)
        content = _content(pair.file)
        fingerprint = Fingerprint(pair.stamp, _digest(content, described), name)
        if fingerprint.digest == memory.digest(name):
            memory.keep(name)
            return
        documents = _documents(pair.file, kind, content, metadata)
        memory.claim(documents, name)
    except ReadError as error:
        memory.keep(name)
        yield Skipped(name, str(error))
    else:
        yield from (Changed(document, str(fingerprint)) for document in documents)


def _content(file: StoredFile) -> bytes:
    if file.size > MAX_FILE_BYTES:
        raise ReadError(f"It has {file.size:,} bytes; the limit is {MAX_FILE_BYTES:,}.")
    return file.read()


def _digest(content: bytes, described: bytes | None) -> str:
    digest = hashlib.sha256(content)
    digest.update(b"" if described is None else b"\0" + hashlib.sha256(described).digest())
    return digest.hexdigest()


def _metadata(content: bytes | None) -> Metadata:
    try:
        return Metadata() if content is None else parse_metadata(content)
    except MetadataError as error:
        raise ReadError(f"Its metadata file is wrong. {error}") from None


def _documents(file: StoredFile, kind: str, content: bytes, metadata: Metadata) -> list[Document]:
    """Return the document in a file, or those in the rows of a table."""
    id_ = metadata.document_id or file.name
    if kind != "CSV":
        return [_document(file, kind, id_, read_file(kind, content), metadata)]
    return [
        _document(file, kind, f"{id_}#{number}", row, metadata)
        for number, row in enumerate(read_rows(content), 1)
    ]


def _document(
    file: StoredFile, kind: str, id_: str, reading: Reading, metadata: Metadata
) -> Document:
    attributes: dict[str, Value] = {"_file_type": kind}
    if file.modified:
        attributes["_last_updated_at"] = file.modified
    title = reading.title or PurePosixPath(file.name).stem
    return Document(
        id=id_,
        title=title if kind == "CSV" else metadata.title or title,
        text=reading.text,
        uri=metadata.uri or file.uri,
        attributes={**attributes, **metadata.attributes, **reading.attributes},
        access=metadata.access,
    )
