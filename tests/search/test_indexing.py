from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lib.jobs import Cancelled, JobError
from lib.search import indexing
from lib.search.index import MANIFEST, Index, open_index
from lib.search.indexing import MEMORY, Memory, index_source, update_index
from lib.search.model import Document
from lib.search.sources import Change, Changed, Progress, Removed, Skipped, no_progress
from lib.search.sources.folder import Folder
from lib.search.writer import open_writer


@dataclass
class Shelf:
    """A source whose documents a test puts in and takes out: texts by id, None for a bad one."""

    texts: dict[str, str | None] = field(default_factory=dict)
    name: str = "shelf"

    def changes(
        self, known: Mapping[str, str], progress: Progress = no_progress
    ) -> Iterator[Change]:
        for position, (id_, text) in enumerate(self.texts.items()):
            progress(position / len(self.texts))
            if text is None:
                yield Skipped(id_, "It is bad.")
            elif known.get(id_) != text:
                yield Changed(
                    Document(id_, id_.title(), text, attributes={"size": len(text)}), text
                )
        yield from (Removed(id_) for id_ in known if id_ not in self.texts)


@dataclass
class Reports:
    """What a job reported; it may be cancelled at a report."""

    seen: list[tuple[float, str]] = field(default_factory=list)
    cancel_at: int = -1

    def __call__(self, fraction: float, step: str) -> None:
        if len(self.seen) == self.cancel_at:
            raise Cancelled
        self.seen.append((fraction, step))


def texts(index: Index) -> dict[str, str]:
    """Return what an index holds."""
    return {
        segment.ids.text(number): segment.texts.text(number)
        for segment in index.segments
        for number in range(segment.count)
        if segment.live[number]
    }


def counted(folder: Path, source: Shelf) -> tuple[int, int, int, int]:
    counts = update_index(Reports(), folder, source)
    return counts.added, counts.changed, counts.removed, counts.skipped


def test_an_index_follows_its_source(tmp_path: Path) -> None:
    shelf = Shelf({"a": "one", "b": "two", "c": "three"})
    assert counted(tmp_path, shelf) == (3, 0, 0, 0)
    assert counted(tmp_path, shelf) == (0, 0, 0, 0)
    shelf.texts = {"a": "one", "b": "changed", "d": "new", "e": None}
    assert counted(tmp_path, shelf) == (1, 1, 1, 1)
    assert texts(open_index(tmp_path)) == {"a": "one", "b": "changed", "d": "new"}


def test_documents_are_searchable_while_indexing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FIRST_STEP", 10)
    monkeypatch.setattr(indexing, "LAST_STEP", 20)
    shelf, seen = Shelf({str(n): f"text {n}" for n in range(75)}), list[int]()

    def report(fraction: float, step: str) -> None:
        assert step
        assert 0 <= fraction < 1
        seen.append(len(texts(open_index(tmp_path))) if (tmp_path / MANIFEST).exists() else 0)

    update_index(report, tmp_path, shelf)
    assert sorted(set(seen)) == [0, 10, 30, 50, 70]
    assert len(texts(open_index(tmp_path))) == 75


def test_long_documents_make_a_step_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "STEP_CHARACTERS", 100)
    reports = Reports()
    update_index(reports, tmp_path, Shelf({"a": "x" * 100, "b": "y"}))
    assert reports.seen == [(0.0, "Looking for changes"), (0.5, "Documents searchable so far: 1")]


def test_a_cancelled_run_goes_on_where_its_last_step_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FIRST_STEP", 10)
    shelf = Shelf({str(n): f"text {n}" for n in range(25)})
    with pytest.raises(Cancelled):
        update_index(Reports(cancel_at=15), tmp_path, shelf)
    assert len(texts(open_index(tmp_path))) == 10
    assert counted(tmp_path, shelf) == (15, 0, 0, 0)
    assert len(texts(open_index(tmp_path))) == 25


def test_a_kill_between_commit_and_memory_loses_nothing(tmp_path: Path) -> None:
    shelf = Shelf({"a": "one", "b": "two"})
    update_index(Reports(), tmp_path, shelf)
    before = (tmp_path / MEMORY).read_bytes()
    shelf.texts = {"a": "changed", "c": "new"}
    update_index(Reports(), tmp_path, shelf)
    (tmp_path / MEMORY).write_bytes(before)
    update_index(Reports(), tmp_path, shelf)
    assert texts(open_index(tmp_path)) == {"a": "changed", "c": "new"}


@pytest.mark.parametrize("memory", [None, "{", "[]", '{"source": "shelf"}'])
def test_an_index_of_which_nothing_is_remembered_begins_anew(
    tmp_path: Path, memory: str | None
) -> None:
    shelf = Shelf({"a": "one", "b": "two"})
    update_index(Reports(), tmp_path, shelf)
    if memory is None:
        (tmp_path / MEMORY).unlink()
    else:
        (tmp_path / MEMORY).write_text(memory)
    del shelf.texts["b"]
    assert counted(tmp_path, shelf) == (1, 0, 0, 0)
    assert texts(open_index(tmp_path)) == {"a": "one"}


def test_an_index_gets_another_source_as_a_whole(tmp_path: Path) -> None:
    update_index(Reports(), tmp_path, Shelf({"a": "one", "b": "two"}))
    update_index(Reports(), tmp_path, Shelf({"b": "other"}, name="other shelf"))
    assert texts(open_index(tmp_path)) == {"b": "other"}


@pytest.mark.parametrize("damage", ["lost", "cut", "of another format"])
def test_a_lost_or_damaged_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    shelf = Shelf({"a": "one", "b": "two"})
    update_index(Reports(), tmp_path, shelf)
    manifest = tmp_path / MANIFEST
    if damage == "lost":
        manifest.unlink()
    elif damage == "of another format":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    else:
        manifest.write_bytes(manifest.read_bytes()[:30])
    assert counted(tmp_path, shelf) == (2, 0, 0, 0)
    assert texts(open_index(tmp_path)) == {"a": "one", "b": "two"}


def test_a_kill_while_an_index_is_made_anew_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf({"a": "one", "b": "two"})
    update_index(Reports(), tmp_path, shelf)
    (tmp_path / MANIFEST).write_text("{")

    def die(*_: object) -> None:
        raise Cancelled

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "FIRST_STEP", 1)
        patch.setattr(Memory, "save", die)
        with pytest.raises(Cancelled):
            update_index(Reports(), tmp_path, shelf)
    assert texts(open_index(tmp_path)) == {"a": "one"}
    update_index(Reports(), tmp_path, shelf)
    assert texts(open_index(tmp_path)) == {"a": "one", "b": "two"}


def test_a_segment_cut_in_half_is_made_anew(tmp_path: Path) -> None:
    shelf = Shelf({"a": "one", "b": "two"})
    update_index(Reports(), tmp_path, shelf)
    (segment,) = tmp_path.glob("*.segment")
    segment.write_bytes(segment.read_bytes()[: segment.stat().st_size // 2])
    assert counted(tmp_path, shelf) == (2, 0, 0, 0)
    assert texts(open_index(tmp_path)) == {"a": "one", "b": "two"}


# ------------------------------------------------------------------------------------------- job


def run(folder: Path, **source: str) -> dict[str, Any]:
    result = index_source(Reports(), folder, source, "Handbooks")
    assert json.loads(json.dumps(result)) == result
    return result


def test_the_job_tells_what_it_did(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "a.csv").write_text("name,size\nOne,1\n")
    (documents / "b.csv").write_text("name,size\nTwo,large\n")
    for number in range(102):
        (documents / f"{number}.exe").touch()
    result = run(tmp_path / "index", kind="folder", path=str(documents))
    expected = {"added": 2, "changed": 0, "removed": 0, "skipped": 102}
    assert expected.items() <= result.items()
    assert len(result["reasons"]) == 100
    assert result["reasons"][0]["name"] == "0.exe"
    assert "can be read" in result["reasons"][0]["reason"]
    (note,) = result["notes"]  # a number in one table, a text in the other
    assert "size" in note
    assert result["seconds"] >= 0


def test_a_source_that_is_not_there_fails_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="There is no folder"):
        run(tmp_path / "index", kind="folder", path=str(tmp_path / "missing"))
    with pytest.raises(JobError, match="AWS"):
        run(tmp_path / "index", kind="s3", bucket="library")


def test_a_second_writer_fails_with_a_sentence(tmp_path: Path) -> None:
    with (
        open_writer(tmp_path / "index"),
        pytest.raises(JobError, match=r"Handbooks was not indexed.*another process"),
    ):
        run(tmp_path / "index", kind="folder", path=str(tmp_path))


def test_an_index_that_cannot_be_written_fails_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match=r"could not be written.*Not a directory\.$"):
        run(tmp_path / "file" / "index", kind="folder", path=str(tmp_path))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "No space left on device. Make room on the disk, then index again."),
        (errno.EDQUOT, "Disk quota exceeded. Make room on the disk, then index again."),
        (errno.EACCES, "Permission denied."),
        (errno.EIO, "Input/output error."),
    ],
)
def test_room_is_asked_for_only_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def fail(*_: object) -> Iterator[Change]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Folder, "changes", fail)
    with pytest.raises(JobError) as failed:
        run(tmp_path / "index", kind="folder", path=str(tmp_path))
    assert str(failed.value) == f"Handbooks was not indexed. {says}"
