"""The background job that keeps an index as its source is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.aws import AwsError, open_aws
from lib.jobs import JobError, Report, job
from lib.search.collections import (
    CollectionError,
    find_collection,
    index_folder,
    indexed_source,
    remove_files,
)
from lib.search.files import IndexDamaged
from lib.search.index import open_index
from lib.search.model import Document
from lib.search.sources import Change, Changed, Removed, Skipped, Source, SourceError, open_source
from lib.search.writer import IndexBusy, IndexWriteError, Writer, fault, open_writer
from lib.settings import settings
from lib.store import open_store

FIRST_STEP = 1_000  # documents, so that something is found at once
LAST_STEP = 16_000  # each step is twice the one before, up to this
STEP_CHARACTERS = 50_000_000  # of text; long documents make a step shorter
REASONS = 100
MEMORY = "known.json"


@job(max_attempts=3)
def index_collection(report: Report, collection: str) -> dict[str, Any]:
    """Bring the index of the collection with an id up to date and return counts.

    The index is searchable meanwhile and grows in steps; a job that was stopped goes on where its
    last step ended.
    """
    now = settings()
    with closing(open_store(now.store_url)) as store:
        try:
            found = find_collection(store, collection)
            if found is None:
                raise JobError("This collection was removed, so there is nothing to index.")
            source = indexed_source(found, now)
            return index_source(report, index_folder(now, collection), source, found.name)
        except CollectionError as error:
            raise JobError(str(error)) from error
        finally:
            if find_collection(store, collection) is None:  # before this attempt or meanwhile
                remove_files(now, collection)


def index_source(
    report: Report, folder: Path, source: Mapping[str, str], name: str
) -> dict[str, Any]:
    """Bring the index in a folder up to date with a source (see `open_source`) and return counts.

    A folder holds the documents of one source. Raises `JobError` with a sentence, which calls the
    collection by its name where its index is at fault.
    """
    started = time.monotonic()
    try:
        origin = open_source(source, open_aws(settings()))
        counts = update_index(report, folder, origin)
    except (SourceError, AwsError) as error:
        raise JobError(str(error)) from error
    except (IndexBusy, IndexWriteError) as error:
        raise JobError(f"{name} was not indexed. {error}") from error
    except OSError as error:
        raise JobError(f"{name} was not indexed. {fault(error)}") from error
    return counts.as_result() | {"seconds": round(time.monotonic() - started, 1)}


def update_index(report: Report, folder: Path, source: Source) -> Counts:
    """Bring an index up to date with a source, step by step; return what was done.

    An index that is damaged, or of which nothing is remembered, begins anew.
    """
    memory = Memory(folder, source.name)
    known = memory.load()
    with open_writer(folder, rebuild=not known) as writer:
        if not known:
            memory.forget()
        steps = Steps(writer, memory, dict(known))
        for change in source.changes(known, lambda done: report(done, steps.sentence)):
            steps.take(change)
        steps.commit()
    return steps.counts


@dataclass(frozen=True)
class Memory:
    """The file in an index's folder that remembers what was indexed, and from which source."""

    folder: Path
    source: str

    def load(self) -> dict[str, str]:
        """Return the fingerprints by document; none where they are not those of this index."""
        try:
            state = json.loads(self._path.read_text("utf-8"))
            fingerprints: dict[str, str] = state["fingerprints"]
            is_ours = state["source"] == self.source
            is_whole = 0 < state["version"] <= open_index(self.folder).version
        except (OSError, ValueError, KeyError, TypeError, IndexDamaged):
            return {}
        return fingerprints if is_ours and is_whole else {}

    def save(self, version: int, fingerprints: dict[str, str]) -> None:
        """Write the fingerprints of a commit; a crash leaves the old file or the new one."""
        state = {"source": self.source, "version": version, "fingerprints": fingerprints}
        aside = self._path.with_suffix(".new")
        with aside.open("w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)

    def forget(self) -> None:
        """Remove the file, so that it is never taken for that of a later index."""
        self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.folder / MEMORY


@dataclass
class Counts:
    """What a run did."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    skipped: int = 0
    reasons: list[Skipped] = field(default_factory=list)  # of the first files skipped
    notes: list[str] = field(default_factory=list)  # attributes left out, the first of them

    def as_result(self) -> dict[str, Any]:
        """Return the counts as the result of a job."""
        return {
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "skipped": self.skipped,
            "reasons": [{"name": one.name, "reason": one.reason} for one in self.reasons],
            "notes": self.notes,
        }

    def skip(self, skipped: Skipped) -> None:
        """Count a file that could not be read, and keep the first reasons."""
        self.skipped += 1
        if len(self.reasons) < REASONS:
            self.reasons.append(skipped)


class Steps:
    """Changes gathered and committed in steps, so that the index is searchable meanwhile."""

    def __init__(self, writer: Writer, memory: Memory, fingerprints: dict[str, str]) -> None:
        self.counts = Counts()
        self.sentence = "Looking for changes"
        self._writer = writer
        self._memory = memory
        self._fingerprints = fingerprints
        self._documents: list[Document] = []
        self._removed: list[str] = []
        self._characters = 0
        self._limit = FIRST_STEP

    def take(self, change: Change) -> None:
        """Note a change, and commit where the step is complete."""
        match change:
            case Changed(document, fingerprint):
                self._change(document, fingerprint)
            case Removed(id_):
                self._removed.append(id_)
                self._fingerprints.pop(id_, None)
                self.counts.removed += 1
            case Skipped():
                self.counts.skip(change)
        if len(self._documents) >= self._limit or self._characters >= STEP_CHARACTERS:
            self.commit()
            self._limit = min(2 * self._limit, LAST_STEP)

    def commit(self) -> None:
        """Make what was noted searchable, then remember it."""
        left_out = self._writer.add(self._documents)
        self.counts.notes.extend(left_out[: REASONS - len(self.counts.notes)])
        self._writer.delete(self._removed)
        version = self._writer.commit()
        self._memory.save(version, self._fingerprints)
        self._documents, self._removed, self._characters = [], [], 0
        self.sentence = f"Documents searchable so far: {len(self._fingerprints):,}"

    def _change(self, document: Document, fingerprint: str) -> None:
        if document.id in self._fingerprints:
            self.counts.changed += 1
        else:
            self.counts.added += 1
        self._fingerprints[document.id] = fingerprint
        self._documents.append(document)
        self._characters += len(document.text)
