"""Plain text out of uploaded files: TXT, Markdown, PDF, DOCX and HTML."""

from __future__ import annotations

import codecs
import re
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePath
from threading import Lock
from typing import TYPE_CHECKING, Any

from lib.summarize.model import MAX_CHARACTERS, TextError, looks_binary

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

SUFFIXES = ("txt", "md", "pdf", "docx", "html", "htm")
_MEGABYTE = 1024 * 1024  # as Streamlit counts uploads
MAX_UNPACKED_BYTES = 100 * _MEGABYTE  # of a DOCX; real ones of a thousand pages stay far below
_FALLBACK_CHARSET = "cp1252"  # Western Windows; what browsers assume of undeclared pages
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # old Word, and every Office file with a password
_ZIP = b"PK\x03\x04"
_HTML_TAG = re.compile(r"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
# PDFium writes U+FFFE (older ones U+0002) for a hyphen that ends a line, without the line break.
_LINE_END_HYPHEN = re.compile("[\x02\ufffe\u00ad](?:\\r?\\n)?")
_FURNITURE = re.compile(
    r"^(?:head|script|style|noscript|template|nav|footer|aside|button|label|select"
    r"|textarea|svg|iframe|object)$"
)
_BLOCKS = re.compile(
    r"^(?:address|article|blockquote|br|dd|div|dl|dt|figcaption|figure|h1|h2|h3|h4"
    r"|h5|h6|hr|li|main|ol|p|pre|section|table|td|th|tr|ul)$"
)
_EDGE = "\0"  # between blocks of a page; no text that gets there holds it
_FALLBACK_DRAWING = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_LONGEST_TITLE = 80  # characters
_READABLE = "Text, Markdown, PDF, DOCX and HTML can be read."

_pdfium = Lock()  # PDFium is not thread-safe


def read_text(name: str, data: bytes, limit_mb: int) -> str:
    """Return the text of a file, its paragraphs as lines; the content decides on its type.

    The name only tells HTML without a head from text, and appears in messages; it is never used as
    a path. Raises `TextError` with a sentence for a file that is too large, empty or broken,
    protected by a password, or of another type.
    """
    title = _title(name)
    if len(data) > limit_mb * _MEGABYTE:
        megabytes = len(data) / _MEGABYTE
        raise TextError(f"{title} has {megabytes:,.1f} MB; the limit is {limit_mb} MB.")
    text = _read(title, PurePath(name).suffix.lower(), data)
    if not text.strip():
        raise TextError(f"{title} holds no text.")
    if len(text) > MAX_CHARACTERS:
        raise _too_long(title)
    return text


def _title(name: str) -> str:
    """Return the name as messages show it: printable, without folders, not too long."""
    shown = "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable())
    return shown if len(shown) <= _LONGEST_TITLE else f"{shown[:_LONGEST_TITLE]}…"


def _too_long(title: str) -> TextError:
    return TextError(
        f"{title} has more than {MAX_CHARACTERS:,} characters of text. Summarize it in parts."
    )


def _read(title: str, suffix: str, data: bytes) -> str:
    if b"%PDF-" in data[:1024]:
        return _read_pdf(title, data)
    if data.startswith(_ZIP):
        return _read_docx(title, data)
    if data.startswith(_OLE):
        raise TextError(
            f"{title} is an old Office file or protected by a password. "
            "Save it as DOCX without one."
        )
    if data.startswith(b"{\\rtf"):
        raise TextError(f"{title} is an RTF file. Save it as DOCX, PDF or text.")
    text = decode(data)
    if looks_binary(text):
        raise TextError(f"{title} is not a text file. {_READABLE}")
    return _read_html(text) if _is_html(suffix, text) else text


def _is_html(suffix: str, text: str) -> bool:
    start = text[:1024].lstrip("\ufeff \t\r\n")
    return suffix in {".html", ".htm"} or bool(start[:1] == "<" and _HTML_TAG.search(start))


def decode(data: bytes) -> str:
    """Return the bytes as text: byte order mark, UTF-8, UTF-16, charset in HTML, else cp1252.

    UTF-16 without a mark shows by a NUL in every other byte of mostly Latin text.
    """
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return data.decode(charset, errors="replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    sample = data[:2000]
    if sample[1::2].count(0) > 0.4 * len(sample[1::2]) and not sample[::2].count(0):
        return data.decode("utf-16-le", errors="replace")
    if sample[::2].count(0) > 0.4 * len(sample[::2]) and not sample[1::2].count(0):
        return data.decode("utf-16-be", errors="replace")
    return _decode_declared(data) if text is None else text


def _decode_declared(data: bytes) -> str:
    declared = _META_CHARSET.search(data[:4096])
    if declared:
        try:
            return data.decode(declared[1].decode("ascii", errors="replace"), errors="replace")
        except LookupError:  # no such charset
            pass
    return data.decode(_FALLBACK_CHARSET, errors="replace")


def _read_html(text: str) -> str:
    """Return the paragraphs of a page as lines, without scripts, navigation and forms."""
    from bs4 import BeautifulSoup

    page = BeautifulSoup(text, "lxml")
    for furniture in page(_FURNITURE):
        furniture.decompose()
    for part in page(["header", "form"]):
        # Headlines stand in the header of an article; some servers wrap whole pages in a form.
        if not (part.find_parent(["article", "main"]) if part.name == "header" else part.find("p")):
            part.decompose()
    for literal in page("pre"):
        literal.string = literal.get_text().replace("\n", _EDGE)
    for block in page(_BLOCKS):
        block.insert_before(_EDGE)
        block.insert_after(_EDGE)
    lines = (" ".join(line.split()) for line in page.get_text().split(_EDGE))
    return "\n".join(line for line in lines if line)


def _read_docx(title: str, data: bytes) -> str:
    """Return the paragraphs of a document as lines, those of tables and text boxes included."""
    from docx import Document
    from docx.opc.exceptions import PackageNotFoundError

    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                raise TextError(
                    f"{title} unpacks to {unpacked / _MEGABYTE:,.0f} MB; the limit is "
                    f"{MAX_UNPACKED_BYTES / _MEGABYTE:,.0f} MB. Save its text on its own."
                )
            if "word/document.xml" not in archive.namelist():
                raise TextError(f"{title} is an archive, not a Word document. {_READABLE}")
        body = Document(BytesIO(data)).element.body
    except (
        zipfile.BadZipFile,
        zlib.error,
        PackageNotFoundError,
        KeyError,
        ValueError,
        NotImplementedError,
        SyntaxError,  # lxml's errors of syntax
    ) as broken:
        if isinstance(broken, TextError):
            raise
        raise TextError(f"{title} is a broken Word document. Open it and save it again.") from None
    return "\n".join(_docx_lines(body))


def _docx_lines(body: Any) -> Iterator[str]:
    """Yield the text of each paragraph; insertions under review count, deletions do not."""
    from docx.oxml.ns import qn

    for copy in list(body.iter(_FALLBACK_DRAWING)):
        copy.getparent().remove(copy)
    paragraph, text = qn("w:p"), qn("w:t")
    gaps = {qn("w:tab"): " ", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
    parts: list[str] = []
    for node in body.iter(paragraph, text, *gaps):
        if node.tag == paragraph:
            yield "".join(parts)
            parts = []
        elif node.getparent().tag != qn("w:tabs"):
            parts.append(gaps.get(node.tag) or node.text or "")
    yield "".join(parts)


def _read_pdf(title: str, data: bytes) -> str:
    """Return the text of all pages, words that a line end divided joined again."""
    from pypdfium2 import PdfDocument, PdfiumError
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    with _pdfium:
        try:
            document = PdfDocument(data)
        except PdfiumError as error:
            if error.err_code == FPDF_ERR_PASSWORD:
                raise TextError(
                    f"{title} is protected by a password. Save a copy without one."
                ) from None
            raise TextError(f"{title} is a broken PDF. Open it and save it again.") from None
        try:
            pages = _pdf_pages(title, document)
        except PdfiumError:
            raise TextError(f"{title} has a page that cannot be read. Save it again.") from None
        finally:
            document.close()
    text = _LINE_END_HYPHEN.sub("", "\n".join(pages)).replace("\r\n", "\n")
    if not text.strip():
        raise TextError(
            f"{title} has no text, only pictures of pages. Run text recognition (OCR) on it first."
        )
    return text


def _pdf_pages(title: str, document: PdfDocument) -> list[str]:
    pages: list[str] = []
    characters = 0
    for page in document:
        content = page.get_textpage()
        pages.append(content.get_text_range())
        content.close()
        page.close()
        characters += len(pages[-1])
        if characters > MAX_CHARACTERS:
            raise _too_long(title)
    return pages
