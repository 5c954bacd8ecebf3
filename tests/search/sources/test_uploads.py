"""Uploaded files: kept under names that are never paths, all of an upload or none."""

from __future__ import annotations

import json
import resource
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.aws import open_aws
from lib.search.sources import Changed, Removed, Skipped, SourceError, open_source, uploads
from lib.search.sources.uploads import Uploads
from lib.settings import Settings
from tests.search.sources import samples

LIMIT_MB = 1
METADATA = json.dumps({"Title": "Report", "Attributes": {"team": "red"}}).encode()


def changes(kept: Uploads, known: dict[str, str]) -> tuple[set[str], set[str], dict[str, str]]:
    """Return ids changed and removed, and reasons by file; bring `known` up to date."""
    found = list(kept.changes(dict(known)))
    changed = {one.document.id: one for one in found if isinstance(one, Changed)}
    removed = {one.id for one in found if isinstance(one, Removed)}
    known.update((id_, one.fingerprint) for id_, one in changed.items())
    for id_ in removed:
        del known[id_]
    return (
        set(changed),
        removed,
        {one.name: one.reason for one in found if isinstance(one, Skipped)},
    )


def test_uploads_become_documents_and_only_what_changed_is_read_again(tmp_path: Path) -> None:
    kept, known = Uploads(tmp_path / "uploads"), dict[str, str]()
    assert changes(kept, known) == (set(), set(), {})
    kept.keep(
        {"../a b.txt": b"text", "../a b.txt.metadata.json": METADATA, "c.md": b"# C"}, LIMIT_MB
    )
    [first, _] = [one for one in kept.changes({}) if isinstance(one, Changed)]
    assert first.document.title == "Report"
    assert first.document.attributes["team"] == "red"
    assert changes(kept, known) == ({"../a b.txt", "c.md"}, set(), {})
    kept.keep({"c.md": b"# C"}, LIMIT_MB)
    assert changes(kept, known) == (set(), set(), {})
    kept.keep({"c.md": b"# D", "e.txt": b"new"}, LIMIT_MB)
    assert changes(kept, known) == ({"c.md", "e.txt"}, set(), {})
    kept.remove(["c.md", "nothing.txt"])
    assert changes(kept, known) == (set(), {"c.md"}, {})
    assert kept.names() == ("../a b.txt", "../a b.txt.metadata.json", "e.txt")


@given(st.text(min_size=1, max_size=210))
def test_no_name_leads_out_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    kept = Uploads(outside / "uploads")
    with suppress(SourceError):
        kept.keep({f"{name}.txt": b"text"}, LIMIT_MB)
    assert [path.name for path in outside.iterdir()] in ([], ["uploads"])
    assert all(path.is_file() for path in kept.folder.glob("*"))


def test_a_wrong_file_is_refused_with_all_of_its_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Uploads(tmp_path / "uploads")
    with pytest.raises(SourceError, match=r"run\.exe was not taken\. .* can be read\."):
        kept.keep({"a.txt": b"text", "run.exe": b"MZ"}, LIMIT_MB)
    with pytest.raises(SourceError, match=r"a\.txt has 1\.5 MB; the limit is 1 MB\."):
        kept.keep({"a.txt": b"a" * (3 * uploads.MEGABYTE // 2)}, LIMIT_MB)
    monkeypatch.setattr(uploads, "MAX_FILES", 1)
    with pytest.raises(SourceError, match="2 files in one collection"):
        kept.keep({"a.txt": b"text", "b.txt": b"text"}, LIMIT_MB)
    monkeypatch.setattr(uploads, "MAX_BYTES", 7)
    kept.keep({"a.txt": b"text"}, LIMIT_MB)
    kept.keep({"a.txt": b"longer"}, LIMIT_MB)  # in place of the other
    with pytest.raises(SourceError, match="8 bytes in one collection"):
        kept.keep({"a.txt": b"too long"}, LIMIT_MB)
    assert kept.names() == ("a.txt",)


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    kept = Uploads(tmp_path)
    kept.keep({"a.txt": b"old"}, LIMIT_MB)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(SourceError, match="Make room"):
            kept.keep({"a.txt": b"new", "b.txt": b"b" * 10_000}, LIMIT_MB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path) -> None:
    kept = Uploads(tmp_path / "uploads")
    kept.keep(
        {
            "bomb.docx": samples.docx_bomb(),
            "broken.pdf": b"%PDF-1.7 and no more",
            "described.txt": b"text",
            "described.txt.metadata.json": b"{'no': json}",
            "alone.txt.metadata.json": METADATA,
        },
        LIMIT_MB,
    )
    _, _, reasons = changes(kept, {})
    assert reasons.keys() == {"bomb.docx", "broken.pdf", "described.txt", "alone.txt.metadata.json"}
    assert "unpacks to" in reasons["bomb.docx"]
    assert "not JSON" in reasons["described.txt"]
    for reason in reasons.values():
        assert reason[0].isupper()
        assert reason.endswith(".")


def test_a_description_opens_uploads(tmp_path: Path) -> None:
    description = {"kind": "uploads", "path": str(tmp_path)}
    assert open_source(description, open_aws(Settings())) == Uploads(tmp_path)
