from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import documents
from lib.search.sources import readers
from lib.search.sources.readers import (
    READERS,
    ReadError,
    Reading,
    clean,
    file_type,
    read_file,
    read_rows,
)
from tests.search.sources import samples

PAGE = (
    b"<html><head><title> A\n page </title><style>p{}</style></head><body><nav>Menu</nav>"
    b"<p>It <b>is</b>n't</p><script>bad()</script><ul><li>One<li>Two</ul></body></html>"
)


@pytest.mark.parametrize(
    ("kind", "content", "title", "text"),
    [
        ("PDF", samples.pdf("Encrypt the volume", "Guide"), "Guide", "Encrypt the volume"),
        ("MS_WORD", samples.docx("One", "Two", title="T", cell="Cell"), "T", "One\nTwo\nCell"),
        (
            "HTML",
            PAGE,
            "A page",
            "It isn't\nOne\nTwo",
        ),
        ("HTML", '<meta charset="iso-8859-1"><p>Zürich'.encode("latin-1"), "", "Zürich"),
        ("HTML", b"just text", "", "just text"),
        (
            "MD",
            b"intro\n\n# The *title*\nSee [the **guide**](http://x) `now`\n",
            "The *title*",
            "intro\n\nThe *title*\nSee the guide now",
        ),
        ("PLAIN_TEXT", "Zürich\r\nBern".encode(), "", "Zürich\nBern"),
        ("PLAIN_TEXT", "Zürich".encode("cp1252"), "", "Zürich"),
        ("PLAIN_TEXT", "Zürich".encode("utf-16"), "", "Zürich"),
        ("PLAIN_TEXT", b"bell\x07 and \x1b[31m", "", "bell and [31m"),
        (
            "JSON",
            json.dumps({"title": "T", "tags": ["a", {"deep": 1.5}], "none": None}).encode(),
            "T",
            "title: T\ntags: a\ndeep: 1.5",
        ),
    ],
)
def test_files_are_read(kind: str, content: bytes, title: str, text: str) -> None:
    assert read_file(kind, content) == Reading(title, text)


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("PDF", b"", "broken PDF"),
        ("PDF", samples.pdf(""), "only pictures"),
        ("MS_WORD", b"PK\x03\x04 and no more", "broken Word"),
        ("HTML", b"<p> </p>", "no text"),
        ("HTML", b"a" * (documents.MAX_HTML_CHARACTERS + 1), "a page may have"),
        ("PLAIN_TEXT", b"\x7fELF\0\0", "not text"),
        ("PLAIN_TEXT", b"", "no text"),
        ("PLAIN_TEXT", b"a" * (documents.MAX_CHARACTERS + 1), "Split it"),
        ("PLAIN_TEXT", b"a" * (readers.MAX_FILE_BYTES + 1), "limit"),
        ("JSON", b'{"a": ', "not JSON.*line 1"),
        ("JSON", b"[" * 100_000, "nested too deeply"),
        ("JSON", b"9" * 5_000, "number"),
        ("JSON", b'"' + b"a" * readers.MAX_JSON_BYTES + b'"', "bytes of JSON; the limit"),
        ("JSON", b'{"%s": [%s0]}' % (b"a" * 10_000, b"0," * 1_000_000), "Split it"),
    ],
)
def test_bad_files_are_refused_with_a_sentence(kind: str, content: bytes, reason: str) -> None:
    with pytest.raises(ReadError, match=reason) as refused:
        read_file(kind, content)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("![a](b.png) [c](d 'e')[f](g)", "a cf"),
        ("[Ada](http://x/Ada_(language)).", "Ada."),
        ("[a] (b) [c][d]", "[a] (b) [c][d]"),
        ("[" * 100_000 + "a](b)", "[" * 99_999 + "a"),
        ("[](" * 100_000, "[](" * 100_000),
    ],
)
def test_links_in_markdown_are_their_text(markdown: str, text: str) -> None:
    assert read_file("MD", markdown.encode()).text == text


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(READERS)), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(kind: str, content: bytes) -> None:
    with suppress(ReadError):
        reading = read_file(kind, content)
        assert reading.text == clean(reading.text)
        reading.text.encode()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_documents_are_read_or_refused(data: st.DataObject) -> None:
    kind, content = data.draw(
        st.sampled_from([("PDF", samples.pdf("Some text")), ("MS_WORD", samples.docx("Some text"))])
    )
    start = data.draw(st.integers(0, len(content)))
    damaged = content[:start] + data.draw(st.binary(max_size=20)) + content[start + 5 :]
    with suppress(ReadError):
        assert read_file(kind, damaged).text


# ----------------------------------------------------------------------------------------- types


def test_types_come_from_the_name_or_from_the_metadata() -> None:
    assert file_type("a/b.PDF") == "PDF"
    assert file_type("a.b.markdown") == "MD"
    assert file_type("noname", "HTML") == "HTML"
    assert file_type("a.txt", "CSV") == "CSV"


@pytest.mark.parametrize(
    ("name", "said"), [("a.exe", ""), ("a", ""), ("pdf", ""), ("a.txt", "PPT")]
)
def test_other_types_are_refused_with_a_sentence(name: str, said: str) -> None:
    with pytest.raises(ReadError, match=r"PDF, DOCX, HTML.* can be read\."):
        file_type(name, said)


# ------------------------------------------------------------------------------------------ rows


def test_more_rows_than_memory_is_meant_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_ROWS", 3)
    assert len(read_rows(b"a,b\n" + 3 * b"1,2\n")) == 3
    with pytest.raises(ReadError, match="more than 3 rows"):
        read_rows(b"a,b\n" + 4 * b"1,2\n")


def test_a_row_is_a_document_and_its_columns_are_attributes() -> None:
    first, second = read_rows(
        "Title;Größe;Zip;Opened at;Notes\nLeak;12;08001;2026-01-02;{long}\nNoise;-3;;;\n\n".replace(
            "{long}", "x" * 201
        ).encode()
    )
    assert first.title == "Leak"
    assert first.text.startswith(
        "Title: Leak\nGröße: 12\nZip: 08001\nOpened at: 2026-01-02\nNotes: x"
    )
    assert first.attributes == {
        "Title": "Leak",
        "Groe": 12,
        "Zip": "08001",
        "Opened_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    assert second.attributes == {"Title": "Noise", "Groe": -3}
    assert second.text == "Title: Noise\nGröße: -3"


def test_a_column_of_mixed_values_is_text() -> None:
    readings = read_rows(b"a,b\n1,2026-01-01\nx,soon\n")
    assert [reading.attributes for reading in readings] == [
        {"a": "1", "b": "2026-01-01"},
        {"a": "x", "b": "soon"},
    ]


def test_quoted_cells_may_hold_lines_and_commas() -> None:
    (reading,) = read_rows(b'name,said\nBo,"one, two\nthree"\n')
    assert reading == Reading(
        "Bo", "name: Bo\nsaid: one, two\nthree", {"name": "Bo", "said": "one, two\nthree"}
    )


def test_columns_get_names_that_attributes_may_have_each_once() -> None:
    (reading,) = read_rows("日本,a b,a b,,-x\n1,2,3,4,5\n".encode())
    assert reading.attributes == {"column_1": 1, "a_b": 2, "column_3": 3, "column_4": 4, "x": 5}


def test_a_column_with_the_name_of_a_date_that_is_none_is_text_alone() -> None:
    (reading,) = read_rows(b"a,_created_at\n1,soon\n")
    assert reading.attributes == {"a": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no row"),
        (b"a,b\n", "no row"),
        (b"a,b\n1,2,3\n", "3 cells where the header has 2"),
        (b"a\n" + b"x" * 200_000, "not CSV"),
        (b"a\0b", "not text"),
        (b"a" * (readers.MAX_FILE_BYTES + 1), "limit"),
    ],
)
def test_bad_tables_are_refused_with_a_sentence(content: bytes, reason: str) -> None:
    with pytest.raises(ReadError, match=reason):
        read_rows(content)
