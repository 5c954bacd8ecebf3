from __future__ import annotations

import html
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from docx import Document
from docx.oxml import parse_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import documents
from lib.documents import (
    DocumentError,
    DocumentText,
    decode,
    limited,
    read_docx,
    read_html,
    read_pdf,
)
from tests.search.sources import samples

SENTENCE = "Revenue rose, said Zoë Müller – by 5 % to €3 million."


def pdf(*lines: str, encrypt: bytes = b"") -> bytes:
    """Return a PDF of one page with these lines, as small as the format allows."""
    shown = " ".join(f"({line}) Tj 0 -14 Td" for line in lines)
    content = f"BT /F1 11 Tf 50 750 Td {shown} ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *([encrypt] if encrypt else []),
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    protection = b"/Encrypt 6 0 R /ID [<00> <00>] " if encrypt else b""
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R %s>>\n"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
            protection,
        )
        + b"startxref\n%d\n%%%%EOF" % len(out)
    )


def archive(**members: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name.replace("__", "/"), data)
    return file.getvalue()


def saved(document: Any) -> bytes:
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def test_an_error_is_a_sentence_about_it_or_about_a_name() -> None:
    error = DocumentError("is a broken PDF.")
    assert str(error) == "It is a broken PDF."
    assert error.about("a.pdf") == "a.pdf is a broken PDF."


@pytest.mark.parametrize(
    ("text", "said"), [("", "holds no text"), (" \n", "holds no text"), ("a" * 5_000_001, "Split")]
)
def test_no_text_and_too_long_a_text_are_refused(text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        limited(text)


def test_a_text_at_the_limit_is_returned() -> None:
    assert len(limited("a" * documents.MAX_CHARACTERS)) == documents.MAX_CHARACTERS


# -------------------------------------------------------------------------------------- charsets


@pytest.mark.parametrize(
    "charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_text_in_every_charset(charset: str) -> None:
    assert decode(SENTENCE.encode(charset)) == SENTENCE


@given(st.text())
def test_utf8_is_read_back(text: str) -> None:
    if not text.startswith("\ufeff") and "\0" not in text:
        assert decode(text.encode()) == text


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_to_text_that_can_be_stored(content: bytes) -> None:
    decode(content).encode()


@pytest.mark.parametrize(
    ("declaration", "charset", "said"),
    [
        ('<meta charset="shift_jis">', "shift_jis", "売上は増えた。"),
        ('<meta charset="shift_jis">', "cp932", "①㈱"),
        ("<META http-equiv=x content='text/html; charset=KOI8-R'>", "koi8-r", "Привет"),
        ('<?xml version="1.0" encoding="iso-8859-2"?>', "iso-8859-2", "Łódź"),
        ('<meta charset="iso-8859-1">', "cp1252", "“€5”"),
        ('<meta charset="gb2312">', "gbk", "朱镕基"),
        ('<meta charset="iso-2022-jp">', "iso-2022-jp", "売上は増えた。"),
        ('<meta charset="iso-8859-1">', "utf-8", "Zoë"),
    ],
)
def test_the_charset_a_page_declares_is_used_unless_it_is_utf8(
    declaration: str, charset: str, said: str
) -> None:
    assert decode(f"{declaration}<p>{said}</p>".encode(charset)) == f"{declaration}<p>{said}</p>"


@pytest.mark.parametrize(
    "charset", ["no-such", "hex", "base64", "punycode", "idna", "undefined", "utf-16", "rot13"]
)
def test_what_is_no_charset_of_pages_is_read_as_western(charset: str) -> None:
    page = f'<html><meta charset="{charset}"><p>Zoë</p></html>'
    assert decode(page.encode("cp1252")) == page


def test_control_characters_are_left_to_the_reader() -> None:
    assert decode(b"\x7fELF\0\0") == "\x7fELF\0\0"
    assert decode(b"a\0b") == "a\0b"


# ------------------------------------------------------------------------------------------- PDF


def test_a_pdf_gives_its_title_and_lines() -> None:
    assert read_pdf(samples.pdf("Encrypt the volume", "Guide")) == DocumentText(
        "Guide", "Encrypt the volume"
    )
    assert read_pdf(pdf("Revenue rose by five percent.", "Costs fell.")) == DocumentText(
        "", "Revenue rose by five percent.\nCosts fell."
    )


def test_words_divided_at_line_ends_are_joined() -> None:
    text = read_pdf(pdf("The company improved its profit-", "ability in 2021-", "2022.")).text
    assert "profitability in 2021-\n2022" in text


def test_a_pdf_of_pictures_is_named_as_such() -> None:
    with pytest.raises(DocumentError, match=r"has no text.*OCR"):
        read_pdf(pdf())


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\ngarbage", pdf("Text here.")[:120]])
def test_a_broken_pdf_is_named_as_such(content: bytes) -> None:
    with pytest.raises(DocumentError, match="is a broken PDF"):
        read_pdf(content)


def test_a_pdf_with_a_password_is_named_as_such() -> None:
    key = b"<" + b"41" * 32 + b">"
    encrypt = b"<< /Filter /Standard /V 1 /R 2 /O %s /U %s /P -4 >>" % (key, key)
    with pytest.raises(DocumentError, match="is protected by a password"):
        read_pdf(pdf("Secret.", encrypt=encrypt))


def test_a_pdf_of_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_CHARACTERS", 10)
    with pytest.raises(DocumentError, match="more than 10 characters"):
        read_pdf(pdf("Eleven letters."))


def test_a_title_that_is_no_text_is_none() -> None:
    content = samples.pdf("Some text", "T").replace(b"(T)", b"<FEFFD800>")
    assert read_pdf(content) == DocumentText("", "Some text")


def test_threads_read_pdfs_one_at_a_time() -> None:
    with ThreadPoolExecutor(1) as threads:
        with documents._pdfium:
            reading = threads.submit(read_pdf, pdf("Text"))
            with pytest.raises(TimeoutError):
                reading.result(timeout=0.2)
        assert reading.result().text == "Text"


# ------------------------------------------------------------------------------------------ DOCX


def test_a_document_gives_its_title() -> None:
    assert read_docx(samples.docx("One", "Two", title="T", cell="Cell")) == DocumentText(
        "T", "One\nTwo\nCell"
    )
    assert read_docx(samples.docx("One")).title == ""


@pytest.mark.parametrize("content_types", [b"<Default/>", b""])
def test_parts_beside_text_and_properties_may_be_broken(content_types: bytes) -> None:
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(DOCUMENT)) as packed, zipfile.ZipFile(file, "w") as copy:
        for name in packed.namelist():
            data = packed.read(name)
            if name == "[Content_Types].xml":
                data = re.sub(rb"<(Default|Override) [^>]*>", content_types, data)
            copy.writestr(name, data)
    assert read_docx(file.getvalue()).text == "Sales rose."


def test_a_document_without_properties_has_no_title() -> None:
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(DOCUMENT)) as packed, zipfile.ZipFile(file, "w") as copy:
        for name in packed.namelist():
            data = packed.read(name)
            if name == "_rels/.rels":
                data = re.sub(rb"<Relationship [^>]*core-properties[^>]*/>", b"", data)
            if name != "docProps/core.xml":
                copy.writestr(name, data)
    assert read_docx(file.getvalue()) == DocumentText("", "Sales rose.")


def test_an_empty_document_is_refused() -> None:
    with pytest.raises(DocumentError, match="holds no text"):
        read_docx(samples.docx())


def test_an_old_document_is_named_as_such() -> None:
    with pytest.raises(DocumentError, match="old Office file or protected by a password"):
        read_docx(documents.OLE + bytes(500))


def test_a_document_gives_its_paragraphs_and_tables_in_order() -> None:
    document = Document()
    document.add_heading("Acme grows")
    document.add_paragraph("Revenue rose.").add_run(" Costs\tfell.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "Q1"
    table.cell(0, 1).text = "412"
    document.add_paragraph("Outlook\nbetter.", style="List Bullet")
    lines = [line for line in read_docx(saved(document)).text.split("\n") if line]
    assert lines == ["Acme grows", "Revenue rose. Costs fell.", "Q1", "412", "Outlook", "better."]


def test_insertions_under_review_count_and_deletions_do_not() -> None:
    document = Document()
    body = document.add_paragraph("Sales rose")._p
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body.append(parse_xml(f"<w:ins {namespace}><w:r><w:t> again</w:t></w:r></w:ins>"))
    body.append(parse_xml(f"<w:del {namespace}><w:r><w:delText> once</w:delText></w:r></w:del>"))
    text = read_docx(saved(document)).text
    assert "Sales rose again" in text
    assert "once" not in text


def test_text_boxes_are_read_once_and_tab_stops_are_no_text() -> None:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    compatibility = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = "<w:p><w:r><w:t>In the box.</w:t></w:r></w:p>"
    document = Document()
    document.element.body.insert(
        0,
        parse_xml(
            f'<w:p xmlns:w="{word}" xmlns:mc="{compatibility}">'
            '<w:pPr><w:tabs><w:tab w:val="left" w:pos="720"/></w:tabs></w:pPr>'
            "<w:r><w:t>Above.</w:t></w:r><w:r><mc:AlternateContent>"
            f'<mc:Choice Requires="wps">{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>'
            "</mc:AlternateContent></w:r></w:p>"
        ),
    )
    assert read_docx(saved(document)).text.split("\n") == ["Above.", "In the box."]


def test_a_zip_bomb_is_refused_unopened() -> None:
    bomb = archive(word__document=b"", word__media=b"0" * 3 * 1024 * 1024)
    assert len(bomb) < 10_000
    with pytest.raises(DocumentError, match="unpacks to 3 MB; the limit is 2 MB"):
        read_docx(bomb, max_unpacked=2 * 1024 * 1024)


def word(body: str) -> bytes:
    """Return a Word document with a body."""
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    part = f"<w:document {namespace}><w:body>{body}</w:body></w:document>"
    return archive(**{"word__document.xml": part.encode()})


def test_a_document_of_very_many_paragraphs_is_read_in_little_memory() -> None:
    document = word("<w:p><w:r><w:t>a</w:t></w:r></w:p>" + "<w:p/>" * 300_000)
    read_docx(document)
    tracemalloc.start()
    try:
        assert read_docx(document).text == "a"
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_too_many_elements_and_too_much_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_ELEMENTS", 100)
    with pytest.raises(DocumentError, match="more than 100 elements"):
        read_docx(word("<w:p/>" * 99))
    monkeypatch.setattr(documents, "MAX_CHARACTERS", 10)
    with pytest.raises(DocumentError, match="more than 10 characters"):
        read_docx(word("<w:p><w:r><w:t>Eleven letters.</w:t></w:r></w:p>"))


def test_other_archives_are_refused() -> None:
    with pytest.raises(DocumentError, match="archive, not a Word document"):
        read_docx(archive(xl__workbook=b"<x/>"))


DOCUMENT = samples.docx("Sales rose.")


def changed(change: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return the document with another main part."""
    file = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(DOCUMENT)) as packed,
        zipfile.ZipFile(file, "w", compression) as copy,
    ):
        for name in packed.namelist():
            data = packed.read(name)
            copy.writestr(name, change(data) if name == "word/document.xml" else data)
    return file.getvalue()


BROKEN = {
    "cut": DOCUMENT[: len(DOCUMENT) // 2],
    "bad XML": changed(lambda data: data[:-40]),
    "no body": changed(lambda data: data.replace(b"w:body", b"w:torso")),
    "another root": changed(lambda _: b"<w/>"),
    "bare": archive(**{"word__document.xml": b"<w/>"}),
    "members with a password": DOCUMENT.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
    "a document type": changed(
        lambda data: data.replace(b"<w:document", b"<!DOCTYPE a><w:document")
    ),
    "nested too deeply": changed(lambda _: b"<a>" * 2_000 + b"</a>" * 2_000),
    "an unknown encoding": changed(lambda data: data.replace(b"UTF-8", b"UTF-9")),
    "an encoding of several bytes": changed(lambda data: data.replace(b"UTF-8", b"big5")),
    "bzip2": changed(bytes, zipfile.ZIP_BZIP2),
    "garbage": b"PK\x03\x04garbage",
    "empty": b"",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_documents_are_named_as_such(data: bytes) -> None:
    with pytest.raises(DocumentError, match="is a broken Word document"):
        read_docx(data)


@given(st.integers(0, len(DOCUMENT)), st.binary(min_size=1, max_size=30))
def test_a_damaged_document_is_read_or_refused(place: int, junk: bytes) -> None:
    with suppress(DocumentError):
        assert read_docx(DOCUMENT[:place] + junk + DOCUMENT[place + len(junk) :]).text.strip()


# ------------------------------------------------------------------------------------------ HTML


PAGE = """<!DOCTYPE html>
<html><head><title>Site</title><style>p {color: red}</style><script>var x = "evil";</script></head>
<body><nav><a href="/">Start</a></nav><header>Logo</header>
<article><header><h1>Acme  grows</h1></header>
<p>Revenue <b>rose</b>
 by 5 %.</p><p>Costs&nbsp;fell.<br>Orders grew.</p><!-- hidden note -->
<table><tr><td>Q1</td><td>412</td></tr></table>
<ul><li>One</li><li>Two</li></ul><pre>line a
line b</pre></article>
<aside>Advertisement</aside><form>Subscribe <input value="x"><button>Go</button></form>
<footer>Imprint</footer></body></html>"""
LINES = "Acme grows|Revenue rose by 5 %.|Costs fell.|Orders grew.|Q1|412|One|Two|line a|line b"


def test_a_page_gives_its_title_and_its_paragraphs_as_lines() -> None:
    assert read_html(PAGE) == DocumentText("Site", LINES.replace("|", "\n"))


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("just text", "just text"),
        ("a < b && c &lt; d &copy; &#8364; &#x20AC; &nosuch;", "a < b && c < d © € € &nosuch;"),
        (f"&#{'9' * 5_000};", "\ufffd"),
        ("<P>One<LI>Two</UL>", "One\nTwo"),
        ("in<b>side</b>, <i>out</i>", "inside, out"),
        ('<p title="a > b" class=c"d>text</p>', "text"),
        ("<p title='a > b'>text</p>", "text"),
        ("<p title=don't>text</p>", "text"),
        ("<!-- > <p>no</p> -->a<!-->b<!---->c<!x>d<?x?>e</>f", "abcdef"),
        ("<pre>a  b\r\n\r\nc</pre>d\ne", "a b\nc\nd e"),
        ("<script>if (a<b) '</p>'</script>a<style>b</style>", "a"),
        ("<script src='a'/>a", "a"),
        ("<svg><title/><text>no</text></svg>a", "a"),
        ("<textarea><p>no</p></textarea>a", "a"),
        ("<header>no</header><main><header>yes</header></main><header>no</header>", "yes"),
        ("<nav><article><header>no</header></article></nav>a", "a"),
        ("<div><nav>no</div>a", "a"),
        ("<nav>no</b></p></section>no</nav>a", "a"),
        ("a<br>b</br>c<hr/>d", "a\nb\nc\nd"),
        ("<form><p>yes</p><select><option>no</select></form>", "yes"),
        ("<form><main>yes</main></form>", "yes"),
        ("<p>a</p><form>no</form><p>b</p>", "a\nb"),
        ("<form>yes<p>yes</p><form>no</form></form>a", "yes\nyes\na"),
        ("<form><nav><p>no</p></nav>no</form>a", "a"),
        ("a<form>no", "a"),
        ("a<p title='never closed>b", "a"),
        ("a<", "a<"),
        ("", ""),
    ],
)
def test_what_is_read_of_a_page(page: str, said: str) -> None:
    assert read_html(page).text == said


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title> A\n &amp; B </title>", "A & B"),
        ("<title>A</title><title>B</title>", "A"),
        ("<svg><title>B</title></svg><p>text", ""),
        ("<p>text", ""),
    ],
)
def test_the_title_of_a_page(page: str, title: str) -> None:
    assert read_html(page).title == title


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<div>" * 20_000 + "deep", "deep"),
        ("<div>" * 20_000 + "deep" + "</div>" * 20_000 + "<p>after", "deep\nafter"),
        ("<div>" * 20_000 + "</b></p></section>" * 20_000 + "deep", "deep"),
        ("<form>" * 20_000 + "<p>deep" + "</form>" * 20_000, "deep"),
        ("<nav>" * 20_000 + "no" + "</nav>" * 20_000 + "after", "after"),
        ("<table><tr><td><b>" * 20_000 + "deep", "deep"),
    ],
    ids=["open", "closed", "other ends", "forms", "navigation", "tables"],
)
def test_a_page_of_twenty_thousand_nested_elements_is_read(page: str, said: str) -> None:
    assert read_html(page).text == said


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<a b='", '<a "', "<!--", "<![", "</", "<?", "<title>a", "&#", "&a"]
)
def test_markup_that_never_ends_is_read_once(piece: str) -> None:
    assert read_html("before <p>" + piece * 100_000).text.startswith("before")


TAGS = ("p", "div", "form", "nav", "header", "article", "pre", "svg", "title", "script")


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *(f"<{tag}>" for tag in TAGS),
                *(f"</{tag}>" for tag in TAGS),
                *("<br/>", "<!--", "-->", "<", ">", "'", '"', "=", "a", " ", "&lt;"),
            ]
        )
    )
)
def test_any_markup_is_read(pieces: list[str]) -> None:
    read = read_html("".join(pieces))
    assert "\n\n" not in read.text
    assert set(read.text) <= set("a<>'\"=-&lt; \n")


@given(st.lists(st.text("ab <>&'\"", min_size=1).filter(str.strip), max_size=5))
def test_escaped_paragraphs_are_read_back(paragraphs: list[str]) -> None:
    page = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    expected = [" ".join(paragraph.split()) for paragraph in paragraphs]
    assert read_html(page).text == "\n".join(expected)


def test_a_page_of_too_much_markup_is_refused() -> None:
    with pytest.raises(DocumentError, match="a page may have"):
        read_html("<" * (documents.MAX_HTML_CHARACTERS + 1))
