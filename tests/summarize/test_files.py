from __future__ import annotations

import struct
import textwrap
import zipfile
from collections.abc import Sequence
from io import BytesIO

import pytest
from docx import Document
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize import files
from lib.summarize.files import decode, read_text
from lib.summarize.model import TextError

LIMIT = 1
SENTENCE = "Revenue rose, said Zoë Müller – by 5 % to €3 million."


def read(name: str, data: bytes, limit_mb: int = LIMIT) -> str:
    return read_text(name, data, limit_mb)


def pdf(lines: Sequence[str], encrypt: bytes = b"") -> bytes:
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


def docx(*paragraphs: str) -> bytes:
    document = Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def archive(**members: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name.replace("__", "/"), data)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        SENTENCE.encode(),
        SENTENCE.encode("utf-8-sig"),
        SENTENCE.encode("utf-16"),
        SENTENCE.encode("utf-16-le"),
        SENTENCE.encode("utf-16-be"),
        SENTENCE.encode("utf-32"),
        SENTENCE.encode("cp1252"),
    ],
    ids=["utf-8", "utf-8 BOM", "utf-16 BOM", "utf-16-le", "utf-16-be", "utf-32", "cp1252"],
)
@pytest.mark.parametrize("name", ["report.txt", "report.md", "report"])
def test_text_in_every_charset(name: str, data: bytes) -> None:
    assert read(name, data) == SENTENCE


@given(st.text())
def test_utf8_is_read_back(text: str) -> None:
    if not text.startswith("\ufeff") and "\0" not in text:
        assert decode(text.encode()) == text


def test_the_charset_a_page_declares_is_used() -> None:
    page = '<html><head><meta charset="shift_jis"></head><body><p>売上は増えた。</p></body></html>'
    assert read("page.html", page.encode("shift_jis")) == "売上は増えた。"


@pytest.mark.parametrize("charset", ["no-such", "hex", "base64"])
def test_a_charset_that_does_not_exist_is_read_as_western(charset: str) -> None:
    page = f'<html><meta charset="{charset}"><p>Zoë</p></html>'
    assert read("page.html", page.encode("cp1252")) == "Zoë"


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


@pytest.mark.parametrize("name", ["page.html", "page.htm", "page.txt", "page"])
def test_a_page_gives_its_paragraphs_as_lines(name: str) -> None:
    assert read(name, PAGE.encode()) == LINES.replace("|", "\n")


def test_a_page_wrapped_in_a_form_is_read() -> None:
    assert read("a.html", b"<html><form><p>Sales rose.</p><select><option>A</select></form>") == (
        "Sales rose."
    )


def test_a_fragment_is_a_page_only_by_its_name() -> None:
    assert read("a.html", b"<p>Sales <i>rose</i>.</p>") == "Sales rose."
    assert read("a.md", b"Sales <i>rose</i>.") == "Sales <i>rose</i>."


def test_a_page_of_scripts_holds_no_text() -> None:
    with pytest.raises(TextError, match="holds no text"):
        read("a.html", b"<html><script>run()</script></html>")


@pytest.mark.parametrize("name", ["report.pdf", "report.txt", "report.docx"])
def test_a_pdf_is_known_by_its_content(name: str) -> None:
    assert read(name, pdf(["Revenue rose by five percent.", "Costs fell."])).split("\n") == [
        "Revenue rose by five percent.",
        "Costs fell.",
    ]


def test_words_divided_at_line_ends_are_joined() -> None:
    text = read("a.pdf", pdf(["The company improved its profit-", "ability in 2021-", "2022."]))
    assert "profitability in 2021-" in text
    assert "2021-\n2022" in text


def test_a_pdf_of_pictures_is_named_as_such() -> None:
    with pytest.raises(TextError, match=r"scan\.pdf has no text.*OCR"):
        read("scan.pdf", pdf([]))


@pytest.mark.parametrize("data", [b"%PDF-1.7\ngarbage", pdf(["Text here."])[:120]])
def test_a_broken_pdf_is_named_as_such(data: bytes) -> None:
    with pytest.raises(TextError, match=r"a\.pdf is a broken PDF"):
        read("a.pdf", data)


def test_a_pdf_with_a_password_is_named_as_such() -> None:
    key = b"<" + b"41" * 32 + b">"
    encrypt = b"<< /Filter /Standard /V 1 /R 2 /O %s /U %s /P -4 >>" % (key, key)
    with pytest.raises(TextError, match=r"a\.pdf is protected by a password"):
        read("a.pdf", pdf(["Secret."], encrypt))


def test_a_document_gives_its_paragraphs_and_tables_in_order() -> None:
    document = Document()
    document.add_heading("Acme grows")
    document.add_paragraph("Revenue rose.").add_run(" Costs\tfell.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "Q1"
    table.cell(0, 1).text = "412"
    document.add_paragraph("Outlook\nbetter.", style="List Bullet")
    file = BytesIO()
    document.save(file)
    lines = [line for line in read("a.docx", file.getvalue()).split("\n") if line]
    assert lines == ["Acme grows", "Revenue rose. Costs fell.", "Q1", "412", "Outlook", "better."]


def test_insertions_under_review_count_and_deletions_do_not() -> None:
    document = Document()
    body = document.add_paragraph("Sales rose")._p
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    from docx.oxml import parse_xml

    body.append(parse_xml(f"<w:ins {namespace}><w:r><w:t> again</w:t></w:r></w:ins>"))
    body.append(parse_xml(f"<w:del {namespace}><w:r><w:delText> once</w:delText></w:r></w:del>"))
    file = BytesIO()
    document.save(file)
    assert "Sales rose again" in read("a.docx", file.getvalue())
    assert "once" not in read("a.docx", file.getvalue())


def test_text_boxes_are_read_once_and_tab_stops_are_no_text() -> None:
    from docx.oxml import parse_xml

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
    file = BytesIO()
    document.save(file)
    assert read("a.docx", file.getvalue()).strip("\n").split("\n") == ["Above.", "In the box."]


def test_a_zip_bomb_is_refused_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_UNPACKED_BYTES", 2 * 1024 * 1024)
    bomb = archive(word__document=b"", word__media=b"0" * 3 * 1024 * 1024)
    assert len(bomb) < 10_000
    with pytest.raises(TextError, match="unpacks to 3 MB; the limit is 2 MB"):
        read("a.docx", bomb)


def test_other_archives_are_refused() -> None:
    with pytest.raises(TextError, match="archive, not a Word document"):
        read("a.docx", archive(xl__workbook=b"<x/>"))


def broken_documents() -> list[bytes]:
    good = docx("Sales rose.")
    with zipfile.ZipFile(BytesIO(good)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, data in members.items():
            packed.writestr(name, data[:-40] if name == "word/document.xml" else data)
    bare = BytesIO()
    with zipfile.ZipFile(bare, "w") as packed:
        packed.writestr("word/document.xml", "<w/>")
    return [good[: len(good) // 2], file.getvalue(), bare.getvalue(), b"PK\x03\x04garbage"]


@pytest.mark.parametrize("data", broken_documents(), ids=["cut", "bad XML", "bare", "garbage"])
def test_broken_documents_are_named_as_such(data: bytes) -> None:
    with pytest.raises(TextError, match=r"a\.docx is a broken Word document"):
        read("a.docx", data)


DOCUMENT = docx("Sales rose.")


@given(st.integers(0, 40_000), st.binary(min_size=1, max_size=30))
def test_a_damaged_document_is_read_or_refused(place: int, junk: bytes) -> None:
    place %= len(DOCUMENT)
    try:
        said = read("a.docx", DOCUMENT[:place] + junk + DOCUMENT[place + len(junk) :])
    except TextError as refused:
        said = str(refused)
    assert said.strip()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "holds no text"),
        (b" \n\t", "holds no text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "not a text file"),
        (struct.pack("<200I", *range(200)), "not a text file"),
        (bytes(range(1, 30)) * 30, "not a text file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "old Office file"),
        (rb"{\rtf1 Sales rose.}", "RTF"),
        (b"a" * (1024 * 1024 + 1), r"has 1\.0 MB; the limit is 1 MB"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.docx"])
def test_what_cannot_be_read_is_refused_with_a_sentence(name: str, data: bytes, said: str) -> None:
    with pytest.raises(TextError, match=said) as refused:
        read(name, data)
    assert str(refused.value).startswith(name)
    assert str(refused.value).endswith(".")


def test_text_over_the_limit_of_characters_is_refused() -> None:
    with pytest.raises(TextError, match="more than 5,000,000 characters"):
        read("a.txt", b"word " * 1_000_001, limit_mb=8)


def test_names_are_neither_paths_nor_trusted() -> None:
    with pytest.raises(TextError) as refused:
        read("../../etc/\u202epass\nwd" + "x" * 300 + ".txt", b"")
    assert str(refused.value).startswith("passwdxxx")
    assert len(str(refused.value)) < 120


def test_hard_wrapped_mail_is_text() -> None:
    mail = textwrap.fill("Sales rose again in the third quarter of the year. " * 5, 72)
    assert read("mail.txt", mail.encode()) == mail
