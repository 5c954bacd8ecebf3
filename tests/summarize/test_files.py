from __future__ import annotations

import struct
import textwrap

import pytest

from lib.summarize.files import read_text
from lib.summarize.model import TextError
from tests.search.sources import samples

LIMIT = 1
SENTENCE = "Revenue rose, said Zoë Müller – by 5 % to €3 million."


def read(name: str, data: bytes, limit_mb: int = LIMIT) -> str:
    return read_text(name, data, limit_mb)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("name", ["report.txt", "report.md", "report"])
def test_text_in_every_charset(name: str, charset: str) -> None:
    assert read(name, SENTENCE.encode(charset)) == SENTENCE


@pytest.mark.parametrize("name", ["page.html", "page.htm", "page.txt", "page"])
def test_a_page_is_known_by_its_content(name: str) -> None:
    page = b"\n<!DOCTYPE html><html><title>Site</title><nav>Menu</nav><p>Sales rose.<p>Costs fell."
    assert read(name, page) == "Sales rose.\nCosts fell."


def test_a_fragment_is_a_page_only_by_its_name() -> None:
    assert read("a.html", b"<p>Sales <i>rose</i>.</p>") == "Sales rose."
    assert read("a.md", b"Sales <i>rose</i>.") == "Sales <i>rose</i>."


@pytest.mark.parametrize("name", ["report.pdf", "report.txt", "report.docx"])
def test_a_pdf_is_known_by_its_content(name: str) -> None:
    assert read(name, samples.pdf("Revenue rose.", "Title")) == "Revenue rose."


@pytest.mark.parametrize("name", ["report.pdf", "report.txt", "report.docx"])
def test_a_word_document_is_known_by_its_content(name: str) -> None:
    assert read(name, samples.docx("Revenue rose.", "Costs fell.", title="Title")) == (
        "Revenue rose.\nCosts fell."
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "holds no text"),
        (b" \n\t", "holds no text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "not a text file"),
        (struct.pack("<200I", *range(200)), "not a text file"),
        (bytes(range(1, 30)) * 30, "not a text file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "old Office file"),
        (b"PK\x03\x04garbage", "is a broken Word document"),
        (samples.pdf("Text")[:200], "is a broken PDF"),
        (samples.pdf(""), "has no text, only pictures"),
        (b"<html><script>run()</script></html>", "holds no text"),
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
