from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lib.search.model import Access, Document, Principals
from lib.search.sources import Changed, Removed, Skipped, Source, SourceError
from lib.search.sources.files import Fingerprint, Listing, StoredFile, file_changes
from lib.search.sources.folder import Folder
from lib.search.sources.model import no_progress
from lib.search.sources.readers import MAX_FILE_BYTES, ReadError
from tests.search.sources import samples


class Scanned:
    """A source scanned again and again, and what is remembered of it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known: dict[str, str] = {}
        self.documents: dict[str, Document] = {}
        self.skipped: dict[str, str] = {}

    def scan(self) -> tuple[set[str], set[str]]:
        """Return the ids of documents changed and removed."""
        changed, removed = set[str](), set[str]()
        self.skipped = {}
        for change in self.source.changes(dict(self.known)):
            match change:
                case Changed(document, fingerprint):
                    changed.add(document.id)
                    self.documents[document.id] = document
                    self.known[document.id] = fingerprint
                case Removed(id_):
                    removed.add(id_)
                    del self.known[id_]
                case Skipped(name, reason):
                    self.skipped[name] = reason
        assert json.loads(json.dumps(self.known)) == self.known
        return changed, removed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "legal").mkdir(parents=True)
    return folder


def describe(path: Path, **fields: Any) -> None:
    path.with_name(f"{path.name}.metadata.json").write_text(json.dumps(fields))


def test_every_type_of_file_becomes_a_document(root: Path) -> None:
    (root / "a.pdf").write_bytes(samples.pdf("Encrypt the volume", "The guide"))
    (root / "legal" / "b.docx").write_bytes(samples.docx("Contract", title=""))
    (root / "c.html").write_text("<title>Page</title><p>Text")
    (root / "d.md").write_text("# Heading\ntext")
    (root / "e.txt").write_text("plain")
    (root / "f.json").write_text('{"name": "F", "a": 1}')
    (root / "g.csv").write_text("name,size\nOne,1\nTwo,2\n")
    scanned = Scanned(Folder(root))
    scanned.scan()
    assert scanned.skipped == {}
    assert {id_: (d.title, d.attributes["_file_type"]) for id_, d in scanned.documents.items()} == {
        "a.pdf": ("The guide", "PDF"),
        "legal/b.docx": ("b", "MS_WORD"),
        "c.html": ("Page", "HTML"),
        "d.md": ("Heading", "MD"),
        "e.txt": ("e", "PLAIN_TEXT"),
        "f.json": ("F", "JSON"),
        "g.csv#1": ("One", "CSV"),
        "g.csv#2": ("Two", "CSV"),
    }
    assert scanned.documents["legal/b.docx"].text == "Contract"
    assert scanned.documents["g.csv#2"].attributes["size"] == 2


def test_the_time_of_change_is_an_attribute(root: Path) -> None:
    (root / "a.txt").write_text("text")
    os.utime(root / "a.txt", (1_700_000_000, 1_700_000_000))
    scanned = Scanned(Folder(root))
    scanned.scan()
    expected = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert scanned.documents["a.txt"].attributes["_last_updated_at"] == expected


@pytest.mark.parametrize("below", ["", "meta"])
def test_metadata_lies_beside_the_documents_or_in_a_folder_of_its_own(
    root: Path, below: str
) -> None:
    (root / "legal" / "a.txt").write_text("text")
    described = root / below / "legal" / "a.txt"
    described.parent.mkdir(parents=True, exist_ok=True)
    describe(
        described,
        Title="The contract",
        Attributes={"Technology": "Storage", "_source_uri": "https://example.com/a"},
        AccessControlList=[{"Name": "law", "Type": "GROUP", "Access": "ALLOW"}],
    )
    scanned = Scanned(Folder(root, below))
    scanned.scan()
    document = scanned.documents["legal/a.txt"]
    assert (document.title, document.uri) == ("The contract", "https://example.com/a")
    assert document.attributes["Technology"] == "Storage"
    assert document.access == Access(allowed=Principals(groups=frozenset({"law"})))
    assert scanned.documents.keys() == {"legal/a.txt"}


def test_metadata_of_a_table_holds_for_each_of_its_rows(root: Path) -> None:
    (root / "a.csv").write_text("name\nOne\n")
    describe(root / "a.csv", DocumentId="tickets", Title="ignored", Attributes={"team": "red"})
    scanned = Scanned(Folder(root))
    scanned.scan()
    assert scanned.documents["tickets#1"].title == "One"
    assert scanned.documents["tickets#1"].attributes["team"] == "red"


def test_the_content_type_of_the_metadata_decides(root: Path) -> None:
    (root / "page").write_text("<p>Text</p>")
    describe(root / "page", ContentType="HTML")
    scanned = Scanned(Folder(root))
    scanned.scan()
    assert scanned.documents["page"].text == "Text"


@pytest.mark.parametrize("metadata", ["", "{", "[]", '{"AccessControlList": "alice"}'])
def test_a_document_with_wrong_metadata_is_not_shown_to_everybody(
    root: Path, metadata: str
) -> None:
    (root / "a.txt").write_text("text")
    (root / "a.txt.metadata.json").write_text(metadata)
    scanned = Scanned(Folder(root))
    assert scanned.scan() == (set(), set())
    assert "metadata file is wrong" in scanned.skipped["a.txt"]


def test_bad_files_are_listed_with_their_reason_and_stop_nothing(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "outside").mkdir()
    (root / "broken.pdf").write_bytes(samples.pdf("text")[:100])
    (root / "broken.docx").write_bytes(b"PK")
    (root / "broken.json").write_text("{")
    (root / "program.exe").write_bytes(b"MZ")
    (root / "empty.txt").touch()
    with (root / "huge.txt").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    os.mkfifo(root / "pipe.txt")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outside").symlink_to(tmp_path / "outside")
    (root / "nowhere.txt").symlink_to("missing")
    (root / "circle.txt").symlink_to("circle.txt")
    (root / "none.txt.metadata.json").write_text("{}")
    (root / os.fsdecode(b"caf\xe9.txt")).write_text("text")
    (root / "good.txt").write_text("good")
    scanned = Scanned(Folder(root))
    assert scanned.scan() == ({"good.txt"}, set())
    reasons = {
        "broken.pdf": "broken PDF",
        "broken.docx": "broken Word",
        "broken.json": "not JSON",
        "program.exe": "can be read",
        "empty.txt": "no text",
        "huge.txt": "limit",
        "pipe.txt": "no regular file",
        "out.txt": "leads out",
        "outside": "leads out",
        "nowhere.txt": "nowhere",
        "circle.txt": "nowhere",
        "none.txt.metadata.json": "no document none.txt",
        "caf?.txt": "not UTF-8",
    }
    assert scanned.skipped.keys() == reasons.keys()
    assert not [name for name, part in reasons.items() if part not in scanned.skipped[name]]
    assert all(reason.endswith(".") for reason in scanned.skipped.values())


def test_links_within_the_folder_are_followed_once_and_hidden_names_are_not_read(
    root: Path,
) -> None:
    (root / "legal" / "a.txt").write_text("text")
    (root / "b.txt").symlink_to("legal/a.txt")
    (root / "law").symlink_to("legal")
    (root / ".hidden.txt").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git" / "c.txt").write_text("hidden")
    scanned = Scanned(Folder(root))
    assert scanned.scan() == ({"legal/a.txt", "b.txt"}, set())
    assert scanned.skipped == {}


def test_a_file_exchanged_for_a_link_after_it_was_listed_is_not_followed(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (root / "a.txt").write_text("text")
    (root / "b.txt").write_text("text")
    changes = Folder(root).changes({})
    assert isinstance(next(changes), Changed)
    (root / "b.txt").unlink()
    (root / "b.txt").symlink_to(tmp_path / "secret.txt")
    (skipped,) = changes
    assert isinstance(skipped, Skipped)
    assert skipped.name == "b.txt"


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no folder"):
        list(Folder(tmp_path / "missing").changes({}))


# ----------------------------------------------------------------------------------- incremental


def test_only_what_changed_is_told_again(root: Path) -> None:
    for name in ("a.txt", "b.txt", "c.csv"):
        (root / name).write_text(f"name\n{name}\nmore\n")
    scanned = Scanned(Folder(root))
    assert scanned.scan() == ({"a.txt", "b.txt", "c.csv#1", "c.csv#2"}, set())
    assert scanned.scan() == (set(), set())
    (root / "a.txt").write_text("changed")
    (root / "b.txt").unlink()
    (root / "c.csv").write_text("name\nc.csv\n")
    (root / "d.txt").write_text("new")
    assert scanned.scan() == ({"a.txt", "c.csv#1", "d.txt"}, {"b.txt", "c.csv#2"})
    assert scanned.documents["a.txt"].text == "changed"
    assert scanned.scan() == (set(), set())


def test_a_file_that_was_only_touched_is_not_told_again(root: Path) -> None:
    (root / "a.txt").write_text("text")
    scanned = Scanned(Folder(root))
    scanned.scan()
    os.utime(root / "a.txt", (1, 1))
    assert scanned.scan() == (set(), set())


def test_new_changed_and_emptied_metadata_change_the_document(root: Path) -> None:
    (root / "a.txt").write_text("text")
    scanned = Scanned(Folder(root))
    scanned.scan()
    for title in ("One", "Other"):
        describe(root / "a.txt", Title=title)
        assert scanned.scan() == ({"a.txt"}, set())
        assert scanned.documents["a.txt"].title == title
    describe(root / "a.txt")
    assert scanned.scan() == ({"a.txt"}, set())
    assert scanned.documents["a.txt"].title == "a"


def test_a_document_with_a_new_id_takes_the_place_of_the_old(root: Path) -> None:
    (root / "a.txt").write_text("text")
    scanned = Scanned(Folder(root))
    scanned.scan()
    describe(root / "a.txt", DocumentId="b")
    assert scanned.scan() == ({"b"}, {"a.txt"})


def test_a_document_keeps_its_id_when_its_file_is_renamed(root: Path) -> None:
    (root / "a.txt").write_text("text")
    describe(root / "a.txt", DocumentId="x")
    scanned = Scanned(Folder(root))
    scanned.scan()
    for name in ("a.txt", "a.txt.metadata.json"):
        (root / name).rename(root / name.replace("a.txt", "b.txt"))
    assert scanned.scan() == ({"x"}, set())
    assert scanned.scan() == (set(), set())


@pytest.mark.parametrize("second", ["a.txt", "z.txt"])
def test_a_second_file_with_the_same_id_is_skipped(root: Path, second: str) -> None:
    (root / "m.txt").write_text("first")
    describe(root / "m.txt", DocumentId="x")
    scanned = Scanned(Folder(root))
    scanned.scan()
    (root / second).write_text("second")
    describe(root / second, DocumentId="x")
    assert scanned.scan() == (set(), set())
    assert "m.txt has the same DocumentId" in scanned.skipped[second]


def test_a_file_that_breaks_keeps_its_last_good_version(root: Path) -> None:
    (root / "a.json").write_text('"text"')
    scanned = Scanned(Folder(root))
    scanned.scan()
    (root / "a.json").write_text("{")
    assert scanned.scan() == (set(), set())
    assert "a.json" in scanned.skipped
    (root / "a.json").unlink()
    assert scanned.scan() == (set(), {"a.json"})


def test_documents_below_a_folder_that_cannot_be_opened_stay() -> None:
    known = {name: str(Fingerprint("1", "2", name)) for name in ("shut/a.txt", "b.txt")}
    closed = Listing((), (Skipped("shut/", "It cannot be opened."),), ("shut/",))
    changes = list(file_changes(closed, known, "", no_progress))
    assert changes == [Skipped("shut/", "It cannot be opened."), Removed("b.txt")]


def test_a_file_that_cannot_be_read_is_skipped() -> None:
    def refuse() -> bytes:
        raise ReadError("It cannot be read: Permission denied.")

    listing = Listing((StoredFile("a b.txt", 1, "1", refuse),))
    (skipped,) = file_changes(listing, {}, "", no_progress)
    assert skipped == Skipped("a b.txt", "It cannot be read: Permission denied.")


def test_a_document_whose_metadata_is_out_of_reach_is_not_opened_to_everybody(root: Path) -> None:
    (root / "a.txt").write_text("secret")
    describe(root / "a.txt", AccessControlList=[{"Name": "ann", "Type": "USER", "Access": "ALLOW"}])
    scanned = Scanned(Folder(root))
    scanned.scan()
    metadata = root / "a.txt.metadata.json"
    metadata.rename(root.parent / "elsewhere.json")
    metadata.symlink_to(root.parent / "elsewhere.json")
    (root / "a.txt").write_text("secret, changed")
    assert scanned.scan() == (set(), set())
    assert scanned.documents["a.txt"].access.allowed == Principals(frozenset({"ann"}))
    assert "a.txt" in scanned.skipped
    assert Scanned(Folder(root)).scan() == (set(), set())


def test_a_document_whose_metadata_is_gone_stays_as_it_was(root: Path) -> None:
    (root / "a.txt").write_text("secret")
    describe(root / "a.txt", AccessControlList=[{"Name": "ann", "Type": "USER", "Access": "ALLOW"}])
    scanned = Scanned(Folder(root))
    scanned.scan()
    (root / "a.txt.metadata.json").unlink()
    for text in ("secret", "secret, changed"):
        (root / "a.txt").write_text(text)
        assert scanned.scan() == (set(), set())
        assert "is gone" in scanned.skipped["a.txt"]
    (root / "a.txt.metadata.json").write_text("{}")
    assert scanned.scan() == ({"a.txt"}, set())
    assert scanned.documents["a.txt"].access == Access()


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "a link that leads out"])
def test_a_folder_of_metadata_that_is_gone_opens_nothing(root: Path, left: str) -> None:
    (root / "a.txt").write_text("secret")
    (root / "meta").mkdir()
    describe(root / "meta" / "a.txt", Title="A")
    scanned = Scanned(Folder(root, "meta"))
    scanned.scan()
    (root / "meta").rename(root.parent / "meta")
    if left == "an empty folder":
        (root / "meta").mkdir()
    elif left == "a link that leads out":
        (root / "meta").symlink_to(root.parent / "meta")
    (root / "b.txt").write_text("secret")
    with pytest.raises(SourceError, match="no metadata files below meta/"):
        scanned.scan()


def test_a_part_of_the_metadata_behind_a_link_that_leads_out_opens_nothing(root: Path) -> None:
    (root / "legal" / "a.txt").write_text("secret")
    (root / "b.txt").write_text("text")
    (root / "meta").mkdir()
    describe(root / "meta" / "b.txt", Title="B")
    (root.parent / "outside").mkdir()
    (root / "meta" / "legal").symlink_to(root.parent / "outside")
    scanned = Scanned(Folder(root, "meta"))
    assert scanned.scan() == ({"b.txt"}, set())
    assert scanned.skipped.keys() == {"meta/legal", "legal/a.txt"}


def test_documents_are_not_opened_while_the_folder_of_their_metadata_is_shut() -> None:
    listing = Listing(
        (StoredFile("a.txt", 1, "1", lambda: b"a"),),
        (Skipped("meta/", "It cannot be opened."),),
        ("meta/",),
    )
    changes = list(file_changes(listing, {}, "meta", no_progress))
    assert [one.name for one in changes if isinstance(one, Skipped)] == ["meta/", "a.txt"]
    assert not [one for one in changes if isinstance(one, Changed)]
