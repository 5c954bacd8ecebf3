from __future__ import annotations

import gc
import os
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lib.search import writer as writer_module
from lib.search.files import IndexDamaged
from lib.search.index import MANIFEST, Index, open_index
from lib.search.model import Access, Document, Principals
from lib.search.writer import IndexBusy, IndexWriteError, open_writer

ROOT = Path(__file__).parent.parent.parent
READ_ROUNDS = 6
KILL_ROUNDS = 9


def texts_of(index: Index) -> dict[str, str]:
    return {
        segment.ids.text(number): segment.texts.text(number)
        for segment in index.segments
        for number in range(segment.count)
        if segment.live[number]
    }


def documents(start: int, end: int, text: str = "some text") -> list[Document]:
    return [Document(f"d{i}", f"title {i}", text) for i in range(start, end)]


def test_the_same_id_replaces_within_a_batch_and_across_commits(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add([Document("a", "", "one"), Document("b", "", "b"), Document("a", "", "two")])
        writer.commit()
        assert texts_of(open_index(tmp_path)) == {"a": "two", "b": "b"}
        writer.add([Document("a", "", "three")])
        writer.add([Document("a", "", "four")])
        writer.delete(["b", "nothing"])
        writer.commit()
        assert texts_of(open_index(tmp_path)) == {"a": "four"}
        writer.add([Document("c", "", "c")])
        writer.delete(["c", "a"])
        writer.commit()
    assert texts_of(open_index(tmp_path)) == {}


def test_documents_beyond_one_segment_replace_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_DOCUMENTS", 3)
    monkeypatch.setattr(writer_module, "MERGE_FACTOR", 1_000)
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 10) + documents(5, 12, "newer"))
        writer.commit()
    index = open_index(tmp_path)
    assert len(index.segments) > 2
    assert texts_of(index) == {f"d{i}": "newer" if i >= 5 else "some text" for i in range(12)}


def test_documents_keep_their_order_over_segments_and_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_DOCUMENTS", 7)
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 100))
        writer.commit()
        assert list(texts_of(open_index(tmp_path))) == [f"d{i}" for i in range(100)]
        writer.add(documents(90, 120))
        writer.merge()
    assert list(texts_of(open_index(tmp_path))) == [f"d{i}" for i in range(120)]


def test_documents_are_deleted_while_the_second_thread_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_DOCUMENTS", 5)
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 22))
        writer.delete(["d17", "d18", "d21"])
        writer.commit()
    gone = {17, 18, 21}
    assert texts_of(open_index(tmp_path)).keys() == {f"d{i}" for i in range(22) if i not in gone}


def test_much_text_starts_a_new_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_CHARACTERS", 100)
    with open_writer(tmp_path) as writer:
        writer.add([Document("a", "", "x" * 90), Document("b", "", "y" * 90)])
        writer.add([Document("c", "", "z")])
        writer.commit()
    assert [segment.count for segment in open_index(tmp_path).segments] == [2, 1]


def test_a_vocabulary_that_was_dropped_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_FORMS", 1)
    with open_writer(tmp_path) as writer:
        for text in ("one two", "two three"):
            writer.add([Document(text, "", text)])
            writer.commit()
        writer.merge()
    words = open_index(tmp_path).segments[0].words
    assert [words.forms.text(i) for i in range(len(words.forms))] == ["one", "three", "two"]


def test_few_segments_are_left_by_many_commits(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        for i in range(9):
            writer.add(documents(i, i + 1))
            writer.commit()
            assert len(open_index(tmp_path).segments) < writer_module.MERGE_FACTOR
    assert len(texts_of(open_index(tmp_path))) == 9


def test_a_segment_with_many_dead_documents_is_written_anew(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 10))
        writer.commit()
        writer.delete(["d1"])
        writer.commit()
        assert [segment.count for segment in open_index(tmp_path).segments] == [10]
        writer.delete(["d2", "d3", "d4"])
        writer.commit()
        assert [segment.count for segment in open_index(tmp_path).segments] == [6]
        writer.delete(f"d{i}" for i in range(10))
        writer.commit()
    assert open_index(tmp_path).segments == ()


def test_segments_are_merged_before_too_many_files_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_DOCUMENTS", 2)
    monkeypatch.setattr(writer_module, "MAX_SEGMENTS", 5)
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 60))
        assert len(list(tmp_path.glob("*.segment"))) < 30
        version = writer.commit()
    index = open_index(tmp_path)
    assert index.version == version
    assert list(texts_of(index)) == [f"d{i}" for i in range(60)]


def test_segments_too_large_together_are_not_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_DOCUMENTS", 10)
    monkeypatch.setattr(writer_module, "LARGEST_SEGMENT", 1_000)
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 60))
        writer.commit()
        writer.delete(["d1"])
        writer.merge()
    index = open_index(tmp_path)
    assert [segment.count for segment in index.segments] == [10] * 6
    assert len(texts_of(index)) == 59


def test_collections_are_as_before_once_documents_were_added(tmp_path: Path) -> None:
    before = gc.get_threshold()
    with open_writer(tmp_path / "one") as one, open_writer(tmp_path / "other") as other:

        def more() -> Iterator[Document]:
            assert gc.get_threshold() != before
            other.add(documents(0, 1))
            yield Document("a", "", "")

        one.add(more())
        assert gc.get_threshold() == before
        with pytest.raises(ZeroDivisionError):
            one.add(Document(str(1 // n), "", "") for n in (1, 0))
        assert gc.get_threshold() == before


def test_values_of_another_type_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    odd: Any = {"nothing": None, "mixed": ("a", 1), "huge": 2**63, "real": 1.5}
    with open_writer(tmp_path) as writer:
        writer.add([Document("a", "", "", attributes={"kind": "guide", "year": 1})])
        writer.commit()
    with open_writer(tmp_path) as writer:
        problems = writer.add(
            [
                Document("b", "", "", attributes={"kind": ("guide",), "year": 2}),
                Document("c", "", "", attributes={"year": datetime(2024, 1, 1, tzinfo=UTC)}),
                Document("d", "", "", attributes=odd),
            ]
        )
        writer.commit()
    assert problems[0] == (
        "Document b: attribute kind was left out, because its value is a STRING_LIST_VALUE, "
        "and in the documents before it is a STRING_VALUE."
    )
    assert [problem.split(",")[0] for problem in problems[1:]] == [
        "Document c: attribute year was left out",
        *(f"Document d: attribute {name} was left out" for name in odd),
    ]
    index = open_index(tmp_path)
    assert [attribute.name for attribute in index.attributes] == ["kind", "year"]
    assert len(texts_of(index)) == 4


def test_problems_are_limited(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add([Document("first", "", "", attributes={"kind": "guide"})])
        many = (Document(str(i), "", "", attributes={"kind": 1}) for i in range(1_500))
        assert len(writer.add(many)) == writer_module.MAX_PROBLEMS


def test_access_lists_are_numbered_over_commits(tmp_path: Path) -> None:
    lists = [Access(Principals(frozenset({name}))) for name in ("ana", "bob")]
    for i in (0, 1, 0):
        with open_writer(tmp_path) as writer:
            writer.add([Document(f"{i}", "", "", access=lists[i]), Document("open", "", "")])
            writer.commit()
    index = open_index(tmp_path)
    assert index.access_lists == tuple(lists)
    found = {
        segment.ids.text(number): int(segment.access[number])
        for segment in index.segments
        for number in range(segment.count)
        if segment.live[number]
    }
    assert found == {"0": 1, "1": 2, "open": 0}


def test_what_was_not_committed_is_dropped(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        version = writer.commit()
        writer.add(documents(0, 5))
    index = open_index(tmp_path)
    assert (index.version, index.segments) == (version, ())
    with open_writer(tmp_path) as writer:
        assert writer.commit() == version


def test_segments_before_the_first_commit_are_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_DOCUMENTS", 3)
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 10))
        assert list(tmp_path.glob("*.segment"))
        assert open_index(tmp_path).segments == ()


def test_there_is_one_writer(tmp_path: Path) -> None:
    with open_writer(tmp_path), pytest.raises(IndexBusy, match="another process"):
        open_writer(tmp_path)
    open_writer(tmp_path).close()


def test_a_damaged_index_is_readable_until_it_is_built_again(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 3))
        before = writer.commit()
    with open_writer(tmp_path, rebuild=True) as writer:
        writer.add(documents(7, 8))
    assert open_index(tmp_path).version == before
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(IndexDamaged):
        open_writer(tmp_path)
    with open_writer(tmp_path, rebuild=True) as writer:
        writer.add(documents(7, 8))
        assert writer.commit() > before
    assert texts_of(open_index(tmp_path)) == {"d7": "some text"}
    assert len(list(tmp_path.glob("*.segment"))) == 1


def test_a_rebuild_without_documents_empties_the_index(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 3))
        writer.commit()
    with open_writer(tmp_path, rebuild=True) as writer:
        writer.commit()
    assert open_index(tmp_path).segments == ()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_soft, hard))


@pytest.mark.parametrize("size", [100, 4_000, 100_000])
def test_a_full_disk_leaves_the_last_commit(tmp_path: Path, size: int) -> None:
    large = [
        Document(f"d{i}", "", f"word{i} " * 9, attributes={"k": f"{i}" * 9}) for i in range(500)
    ]
    with open_writer(tmp_path) as writer:
        writer.add([Document("old", "", "old", attributes={"k": "before"})])
        version = writer.commit()
        with files_limited_to(size):
            writer.add(large)
            with pytest.raises(IndexWriteError, match="unharmed"):
                writer.commit()
        index = open_index(tmp_path)
        assert (index.version, texts_of(index)) == (version, {"old": "old"})
        index.verify()
        assert {path.name for path in tmp_path.iterdir()} == {
            "lock",
            MANIFEST,
            *index.manifest.files(),
        }
        writer.add(large)
        writer.commit()
    index = open_index(tmp_path)
    assert len(texts_of(index)) == 501
    assert index.dictionaries["k"].values == ("before", *(f"{i}" * 9 for i in range(500)))
    index.verify()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_an_error_in_the_second_thread_reaches_the_first_and_leaves_the_last_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(writer_module, "SEGMENT_DOCUMENTS", 3)
    threads = set[int]()

    def fail(*_: object) -> int:
        threads.add(threading.get_ident())
        raise error

    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 10))
        version = writer.commit()
        with monkeypatch.context() as patch:
            patch.setattr(writer_module, "write_arrays", fail)
            with pytest.raises(IndexWriteError if isinstance(error, OSError) else MemoryError):
                writer.add(documents(10, 100))
        assert threads
        assert threading.get_ident() not in threads
        index = open_index(tmp_path)
        assert index.version == version
        assert texts_of(index).keys() == {f"d{i}" for i in range(10)}
        writer.add(documents(5, 15, "newer"))
        writer.commit()
    found = {f"d{i}": "newer" if i >= 5 else "some text" for i in range(15)}
    assert texts_of(open_index(tmp_path)) == found


CHANGE_UNTIL_KILLED = """
import os, sys
from pathlib import Path
from lib.search import writer as w
from lib.search.model import Document
w.SEGMENT_DOCUMENTS = 40

def tell(what):
    os.write(1, f"{what}\\n".encode())  # in one piece, so a kill cuts no line

def change(folder, round):
    with w.open_writer(folder) as writer:
        tell(os.getpid())
        while True:
            round += 1
            writer.add(
                Document(f"d{i}", f"title {round}", f"round {round}", attributes={"r": f"r{round}"})
                for i in range(100)
            )
            writer.delete([f"d{round % 100}"])
            writer.merge() if round % 3 == 0 else writer.commit()
            tell(round)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        change(Path(sys.argv[1]), int(line))
    os.waitpid(child, 0)
    tell("killed")
"""


def test_a_kill_at_any_point_leaves_a_whole_commit(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    changer = subprocess.Popen(
        [sys.executable, "-c", CHANGE_UNTIL_KILLED, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert changer.stdin is not None
    assert changer.stdout is not None
    done = 0
    for _ in range(KILL_ROUNDS):
        print(done, file=changer.stdin, flush=True)
        child = int(changer.stdout.readline())
        reported = [changer.stdout.readline() for _ in range(chance.randrange(3))]
        threading.Event().wait(chance.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        reported.extend(iter(changer.stdout.readline, "killed\n"))
        done = int(reported[-1]) if reported else done
        index = open_index(tmp_path)
        index.verify()
        texts = texts_of(index)
        if texts or done:
            found = {int(text.removeprefix("round ")) for text in texts.values()}
            assert len(found) == 1
            assert found <= {done, done + 1}
            done = found.pop()
            assert texts.keys() == {f"d{i}" for i in range(100) if i != done % 100}
            assert f"r{done}" in index.dictionaries["r"].values
    assert done > 0
    changer.stdin.close()
    assert changer.wait() == 0
    with open_writer(tmp_path) as writer:
        writer.commit()
    named = open_index(tmp_path).manifest.files()
    assert {path.name for path in tmp_path.iterdir()} == {"lock", MANIFEST, *named}


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from lib.search import files, writer as w
from lib.search.model import Document
w.SEGMENT_DOCUMENTS = 5
append = files.ArrayFile.append

def append_and_die(file, name, chunk):
    append(file, name, chunk)
    if name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

with w.open_writer(Path(sys.argv[1])) as writer:
    files.ArrayFile.append = append_and_die
    writer.add(Document(f"d{i}", "", "newer", attributes={"k": "newer"}) for i in range(20))
    writer.commit()
"""


@pytest.mark.parametrize("array", ["ids.offsets", "form_postings.documents", "lengths"])
def test_a_kill_while_the_second_thread_writes_leaves_the_last_commit(
    tmp_path: Path, array: str
) -> None:
    with open_writer(tmp_path) as writer:
        writer.add(documents(0, 20))
        version = writer.commit()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path), array], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.segment"))) > 1
    index = open_index(tmp_path)
    index.verify()
    assert (index.version, len(texts_of(index))) == (version, 20)
    with open_writer(tmp_path) as writer:
        assert writer.commit() == version
    assert {path.name for path in tmp_path.iterdir()} == {"lock", MANIFEST, *index.manifest.files()}


READ_WHILE_WRITTEN = """
import sys
from pathlib import Path
from lib.search.index import open_index
index = open_index(Path(sys.argv[1]))
print("ready", flush=True)
seen = set()
while True:
    index = index.refresh()
    texts = [s.texts.text(i) for s in index.segments for i in range(s.count) if s.live[i]]
    assert len(texts) in (0, 50), len(texts)
    assert len(set(texts)) <= 1, set(texts)
    seen.update(texts)
    if "last" in seen:
        break
print(len(seen), flush=True)
"""


def test_another_process_reads_whole_commits_while_they_are_made(tmp_path: Path) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-c", READ_WHILE_WRITTEN, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    with open_writer(tmp_path) as writer:
        for i in range(READ_ROUNDS):
            writer.add(documents(0, 50, "last" if i == READ_ROUNDS - 1 else f"round {i}"))
            writer.commit()
    assert int(reader.stdout.readline()) >= 1
    assert reader.wait() == 0


def test_files_are_synced_before_the_manifest_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def checked(path: Path, target: Path) -> Path:
        assert {p.name for p in tmp_path.iterdir()} - {"lock", MANIFEST} <= set(synced)
        assert synced[-1] == tmp_path.name
        synced.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "rename", checked)
    with open_writer(tmp_path) as writer:
        writer.add([Document("a", "", "", attributes={"kind": "guide"})])
        writer.commit()
        assert synced[-2:] == ["renamed", tmp_path.name]
