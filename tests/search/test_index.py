from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.search import index as index_module
from lib.search.analysis import stem, words_of
from lib.search.builder import TITLE_GAP
from lib.search.files import IndexDamaged
from lib.search.index import MANIFEST, Index, Manifest, open_index, read_manifest
from lib.search.model import Access, Attribute, AttributeType, Document, Principals, Value
from lib.search.segment import ListColumn, NumberColumn, Postings, Segment, StringColumn
from lib.search.writer import open_writer

Where = dict[str, dict[str, list[int]]]  # form, document id, positions

PRIVATE = Access(Principals(frozenset({"ana"}), frozenset({"staff"})), Principals(frozenset({"x"})))
DAY = datetime(2024, 2, 29, 12, 30, 0, 250, tzinfo=UTC)
EVERYTHING = (
    Document(
        "a",
        "Encrypting data",
        "Data at rest, data in transit. " * 3,
        "https://example.org/a",
        {"kind": "guide", "tags": ("x", "y", "x"), "year": -5, "made": DAY},
    ),
    Document("b", "日本語", "データ naïve ﬁles", access=PRIVATE),
    Document("empty", "", "", attributes={"kind": "", "tags": ()}),
    Document("c 🙂", "Encrypted", "the end", "", {"kind": "note", "year": 2**62}, PRIVATE),
)


def documents_of(index: Index) -> dict[str, Document]:
    """Read every live document back from its columns."""
    found = {}
    for segment in index.segments:
        for number in np.flatnonzero(segment.live).tolist():
            code = int(segment.access[number])
            document = Document(
                segment.ids.text(number),
                segment.titles.text(number),
                segment.texts.text(number),
                segment.uris.text(number),
                _attributes(index, segment, number),
                index.access_lists[code - 1] if code else Access(),
            )
            assert document.id not in found
            found[document.id] = document
    return found


def _attributes(index: Index, segment: Segment, number: int) -> dict[str, Value]:
    kinds = {attribute.name: attribute.type for attribute in index.attributes}
    values: dict[str, Value] = {}
    for name, column in segment.columns.items():
        if isinstance(column, StringColumn) and column.codes[number]:
            values[name] = index.dictionaries[name].values[column.codes[number] - 1]
        if isinstance(column, ListColumn):
            start, end = column.offsets[number : number + 2].tolist()
            codes = column.codes[start:end].tolist()
            if codes:
                values[name] = tuple(index.dictionaries[name].values[code - 1] for code in codes)
        if isinstance(column, NumberColumn) and column.present[number]:
            value = int(column.values[number])
            is_date = kinds[name] is AttributeType.DATE
            values[name] = datetime.fromtimestamp(value / 1e6, UTC) if is_date else value
    return values


def positions_of(postings: Postings, posting: int) -> list[int]:
    place = int(postings.places[posting])
    if postings.frequencies[posting] == 1:
        return [place]
    positions: list[int] = postings.positions[place + 1 :][: postings.positions[place]].tolist()
    return positions


def postings_of(index: Index) -> tuple[Where, dict[str, dict[str, int]]]:
    """Read where each form and how often each stem stands in live documents."""
    forms: Where = defaultdict(dict)
    stems: dict[str, dict[str, int]] = defaultdict(dict)
    for segment in index.segments:
        words = segment.words
        names = [words.forms.text(i) for i in range(len(words.forms))]
        assert names == sorted(names)
        stem_names = [words.stems.text(i) for i in range(len(words.stems))]
        assert stem_names == sorted(stem_names)
        assert [stem_names[i] for i in words.stem_of] == [stem(name) for name in names]
        postings = words.form_postings
        for word, name in enumerate(names):
            start, end = postings.offsets[word : word + 2].tolist()
            holders = postings.documents[start:end].tolist()
            assert holders == sorted(set(holders))
            assert holders
            for posting, holder in zip(range(start, end), holders, strict=True):
                places = positions_of(postings, posting)
                assert postings.frequencies[posting] == min(len(places), 255)
                if segment.live[holder]:
                    forms[name][segment.ids.text(holder)] = places
        postings = words.stem_postings
        for word, name in enumerate(stem_names):
            start, end = postings.offsets[word : word + 2].tolist()
            for posting in range(start, end):
                holder = int(postings.documents[posting])
                if segment.live[holder]:
                    stems[name][segment.ids.text(holder)] = int(postings.frequencies[posting])
    return dict(forms), dict(stems)


def expected_postings(documents: dict[str, Document]) -> tuple[Where, dict[str, dict[str, int]]]:
    """Return what `postings_of` must find, word by word in Python."""
    forms: Where = defaultdict(lambda: defaultdict(list))
    stems: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for document in documents.values():
        title, text = words_of(document.title), words_of(document.text)
        for place, (form, _start, _end) in enumerate(title):
            forms[form][document.id].append(place)
        for place, (form, _start, _end) in enumerate(text, len(title) + TITLE_GAP):
            forms[form][document.id].append(place)
        for form, _start, _end in title + text:
            stems[stem(form)][document.id] += 1
    capped = {s: {d: min(n, 255) for d, n in where.items()} for s, where in stems.items()}
    return {form: dict(where) for form, where in forms.items()}, capped


def lengths_of(index: Index) -> dict[str, int]:
    return {
        segment.ids.text(number): int(segment.lengths[number])
        for segment in index.segments
        for number in np.flatnonzero(segment.live).tolist()
    }


def assert_holds(index: Index, documents: dict[str, Document]) -> None:
    found = documents_of(index)
    assert found == {key: _as_kept(document) for key, document in documents.items()}
    assert postings_of(index) == expected_postings(documents)
    assert lengths_of(index) == {
        key: len(words_of(each.title)) + len(words_of(each.text)) for key, each in documents.items()
    }


def _as_kept(document: Document) -> Document:
    kept = {
        name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value
        for name, value in document.attributes.items()
        if value != ()
    }
    return Document(document.id, document.title, document.text, document.uri, kept, document.access)


def test_documents_come_back_as_they_went_in(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        assert writer.add(EVERYTHING) == ()
        writer.commit()
    index = open_index(tmp_path)
    assert_holds(index, {document.id: document for document in EVERYTHING})
    assert index.attributes == (
        Attribute("kind", AttributeType.STRING, 3),
        Attribute("made", AttributeType.DATE, 0),
        Attribute("tags", AttributeType.STRING_LIST, 2),
        Attribute("year", AttributeType.LONG, 0),
    )
    index.verify()


def test_frequencies_are_capped_and_positions_are_not(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add([Document("a", "word", "word words " * 300), Document("b", "", "word")])
        writer.commit()
        many = Document("a", "word", "word words " * 300)
        assert_holds(open_index(tmp_path), {"a": many, "b": Document("b", "", "word")})
        writer.delete(["b"])
        writer.merge()
    assert_holds(open_index(tmp_path), {"a": many})


def test_an_empty_folder_is_an_empty_index_until_something_is_committed(tmp_path: Path) -> None:
    index = open_index(tmp_path / "new")
    assert index.segments == ()
    assert index.version == 0
    assert index.refresh() is index
    with open_writer(tmp_path / "new") as writer:
        writer.add(EVERYTHING)
        index = index.refresh()
        assert index.segments == ()
        version = writer.commit()
    newer = index.refresh()
    assert newer.version == version > 0
    assert len(documents_of(newer)) == len(EVERYTHING)


def test_a_reader_keeps_its_commit_and_shares_what_did_not_change(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add(EVERYTHING)
        writer.commit()
        old = open_index(tmp_path)
        writer.add([Document("d", "another", "one", attributes={"kind": "letter"})])
        writer.commit()
        newer = old.refresh()
        assert newer.segments[0] is old.segments[0]
        writer.merge()
        merged = newer.refresh()
    assert len(merged.segments) == 1
    assert_holds(old, {document.id: document for document in EVERYTHING})
    assert "letter" not in old.dictionaries["kind"].values
    assert (
        documents_of(newer).keys()
        == documents_of(merged).keys()
        == {"d", *(document.id for document in EVERYTHING)}
    )


def test_codes_are_as_narrow_as_the_dictionary_allows(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.add(Document(str(i), "", "", attributes={"k": f"v{i}"}) for i in range(255))
        writer.commit()
        writer.add(Document(str(i), "", "", attributes={"k": f"v{i}"}) for i in range(255, 300))
        writer.commit()
        kept = [column.codes.dtype for column in _column_k(open_index(tmp_path))]
        assert kept == [np.uint8, np.uint16]
        writer.merge()
    index = open_index(tmp_path)
    assert [column.codes.dtype for column in _column_k(index)] == [np.uint16]
    assert {key: each.attributes["k"] for key, each in documents_of(index).items()} == {
        str(i): f"v{i}" for i in range(300)
    }


def _column_k(index: Index) -> list[StringColumn]:
    columns = [segment.columns["k"] for segment in index.segments]
    assert all(isinstance(column, StringColumn) for column in columns)
    return [column for column in columns if isinstance(column, StringColumn)]


def _committed(folder: Path) -> Path:
    with open_writer(folder) as writer:
        writer.add(EVERYTHING)
        writer.commit()
        writer.delete(["b"])
        writer.commit()
    return folder


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _committed(tmp_path_factory.mktemp("index") / "committed")


KINDS = ["*.segment", "*.live", "*.lines", MANIFEST]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_noticed_at_opening(
    committed: Path, tmp_path: Path, kind: str, kept: float
) -> None:
    folder = shutil.copytree(committed, tmp_path / "index")
    for path in folder.glob(kind):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * kept)])
        with pytest.raises(IndexDamaged, match=rf"{path.name}.*Build the index again"):
            open_index(folder)
        path.write_bytes(whole)
    open_index(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_is_noticed_by_who_has_it_open(
    committed: Path, tmp_path: Path, kind: str
) -> None:
    folder = shutil.copytree(committed, tmp_path / "index")
    index = open_index(folder)
    assert index.refresh() is index
    for path in folder.glob(kind):
        whole = path.read_bytes()
        os.truncate(path, len(whole) // 2)
        with pytest.raises(IndexDamaged, match=path.name):
            index.refresh()
        path.write_bytes(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_is_noticed_at_opening(committed: Path, tmp_path: Path, kind: str) -> None:
    folder = shutil.copytree(committed, tmp_path / "index")
    next(folder.glob(kind)).unlink()
    with pytest.raises(IndexDamaged, match="missing"):
        open_index(folder)


@pytest.mark.parametrize("kind", ["*.segment", "*.live", "*.lines"])
def test_a_changed_byte_is_noticed_by_verify(committed: Path, tmp_path: Path, kind: str) -> None:
    folder = shutil.copytree(committed, tmp_path / "index")
    path = next(folder.glob(kind))
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexDamaged, match=path.name):
        open_index(folder).verify()


def test_another_file_in_its_place_is_noticed_at_opening(committed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(committed, tmp_path / "index")
    shutil.copy(next(folder.glob("*.live")), next(folder.glob("*.segment")))
    with pytest.raises(IndexDamaged, match=r"\.segment has .* bytes instead of"):
        open_index(folder)


def test_a_commit_while_an_index_is_being_opened_is_seen_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_writer(tmp_path) as writer:
        writer.add(EVERYTHING)
        writer.commit()
        writer.delete(["b"])

        def read_and_be_overtaken(folder: Path) -> Manifest:
            manifest = read_manifest(folder)
            writer.merge()  # removes the files that this manifest names
            return manifest

        monkeypatch.setattr(index_module, "read_manifest", read_and_be_overtaken)
        index = open_index(tmp_path)
    assert_holds(index, {each.id: each for each in EVERYTHING if each.id != "b"})


def test_another_format_is_refused(committed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(committed, tmp_path / "index")
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(IndexDamaged, match="format 99"):
        open_index(folder)


WORDS = st.sampled_from(
    ["run", "runs", "running", "Data", "data", "日本", "é", "x1", "it's", "ﬁne"]
)
SHORT = st.lists(WORDS, max_size=6).map(" ".join)
NAMES = st.sampled_from(["p", "q", "r"])
DOCUMENTS = st.builds(
    Document,
    st.sampled_from([f"d{i}" for i in range(8)]),
    SHORT,
    SHORT,
    st.sampled_from(["", "https://example.org/é"]),
    st.fixed_dictionaries(
        {},
        optional={
            "kind": NAMES,
            "tags": st.lists(NAMES, max_size=3).map(tuple),
            "year": st.integers(-(2**63), 2**63 - 1),
            "made": st.just(DAY),
        },
    ),
    st.sampled_from([Access(), PRIVATE]),
)
BATCHES = st.lists(
    st.tuples(st.lists(DOCUMENTS, max_size=5), st.sets(st.sampled_from(["d0", "d1", "d2"]))),
    max_size=3,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BATCHES)
def test_segments_deletes_and_merges_agree_with_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[list[Document], set[str]]],
) -> None:
    folder = tmp_path_factory.mktemp("index")
    wanted: dict[str, Document] = {}
    with open_writer(folder) as writer:
        for documents, deleted in batches:
            writer.add(documents)
            wanted |= {document.id: document for document in documents}
            writer.delete(deleted)
            wanted = {key: each for key, each in wanted.items() if key not in deleted}
            writer.commit()
            assert_holds(open_index(folder), wanted)
        writer.merge()
    index = open_index(folder)
    assert len(index.segments) <= 1
    assert all(segment.live.all() for segment in index.segments)
    assert_holds(index, wanted)
    shutil.rmtree(folder)
