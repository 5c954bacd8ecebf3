"""Title and text out of documents: PDF, DOCX and HTML; text out of bytes in any charset."""

from __future__ import annotations

import codecs
import html
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MAX_CHARACTERS = 5_000_000  # of text, about 800,000 words; as Kendra's limit of 5 MB
MAX_HTML_CHARACTERS = 10_000_000  # of markup; a page of tags alone is read in seconds
MAX_ELEMENTS = (
    5_000_000  # of a DOCX; a text of 5 MB with each word formatted on its own has so many
)
MAX_DEPTH = 1_000  # of elements in each other; Word nests some tens
MAX_UNPACKED_BYTES = 100 * 1024 * 1024  # of a DOCX; real ones of a thousand pages stay far below
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # old Word, and every Office file with a password


class DocumentError(ValueError):
    """A document that cannot be read; the message is a sentence whose subject is It."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"It {fault}")
        self._fault = fault

    def about(self, name: str) -> str:
        """Return the sentence with a name as its subject."""
        return f"{name} {self._fault}"


@dataclass(frozen=True)
class DocumentText:
    """What a document says; the title is empty where it has none."""

    title: str
    text: str


def limited(text: str) -> str:
    """Return the text; raises `DocumentError` for none and for more than `MAX_CHARACTERS`."""
    if not text.strip():
        raise DocumentError("holds no text.")
    if len(text) > MAX_CHARACTERS:
        raise _too_long()
    return text


def join_lines(lines: Iterable[str]) -> str:
    """Return lines as a text; raises `DocumentError` as soon as it is longer than one may be."""
    kept: list[str] = []
    characters = -1
    for line in lines:
        characters += len(line) + 1
        if characters > MAX_CHARACTERS:
            raise _too_long()
        kept.append(line)
    return "\n".join(kept)


def _too_long() -> DocumentError:
    return DocumentError(f"has more than {MAX_CHARACTERS:,} characters of text. Split it.")


# -------------------------------------------------------------------------------------- charsets

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"<(?:meta\s[^>]{0,200}?charset|\?xml\s[^>]{0,200}?encoding)\s*=\s*[\"']?\s*([\w.:-]+)",
    re.IGNORECASE,
)
# Python's other codecs are no charsets, and some (punycode) take the square of the length.
_CHARSETS = re.compile(
    r"ascii|big5|big5hkscs|cp\d+|euc_\w+|gb\w+|hz|iso\d+-\d+|iso2022_\w+|johab|koi8-\w"
    r"|mac-\w+|shift_jis\w*|tis-620|utf-8"
)
_FALLBACK_CHARSET = "cp1252"  # Western Windows; what browsers assume of undeclared pages
_WIDER = {  # as browsers read them: https://encoding.spec.whatwg.org/#names-and-labels
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_ESCAPE = b"\x1b"  # ISO-2022 switches alphabets with it, in bytes that are valid UTF-8


def decode(content: bytes) -> str:
    """Return the bytes as text: byte order mark, UTF-16, UTF-8, declared charset, else cp1252.

    UTF-16 without a mark shows by a NUL in every other byte of mostly Latin text. A charset is
    declared as in HTML or XML. Bytes that are no text at all give one with NUL or other control
    characters.
    """
    for mark, charset in _BOMS:
        if content.startswith(mark):
            return content.decode(charset, errors="replace")
    if utf16 := _utf16(content):
        return content.decode(utf16, errors="replace")
    declared = _declared(content)
    if not (declared and _ESCAPE in content):
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return content.decode(declared or _FALLBACK_CHARSET, errors="replace")


def _utf16(content: bytes) -> str:
    """Return the byte order of UTF-16 as a charset, empty where it is something else."""
    if len(content) % 2:
        return ""
    even, odd = content[:2000:2], content[1:2000:2]
    if odd.count(0) > 0.4 * len(odd) and not even.count(0):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and not odd.count(0):
        return "utf-16-be"
    return ""


def _declared(content: bytes) -> str:
    """Return the charset that a page declares, empty where it is none that is known."""
    found = _DECLARED.search(content[:4096])
    if not found:
        return ""
    try:
        charset = codecs.lookup(found[1].decode("ascii")).name
    except (LookupError, UnicodeError):
        return ""
    return _WIDER.get(charset, charset) if _CHARSETS.fullmatch(charset) else ""


# ------------------------------------------------------------------------------------------- PDF

# PDFium writes U+FFFE (older ones U+0002) for a hyphen that ends a line, without the line break.
_LINE_END_HYPHEN = re.compile("[\x02\ufffe\u00ad](?:\\r?\\n)?")

_pdfium = Lock()  # PDFium is not thread-safe: one lock for the whole process


def read_pdf(content: bytes) -> DocumentText:
    """Return the title and the text of all pages, words that a line end divided joined again.

    Raises `DocumentError` for a PDF that is broken, has a password, or is of pictures alone.
    """
    from pypdfium2 import PdfDocument, PdfiumError
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    with _pdfium:
        try:
            document = PdfDocument(content)
        except PdfiumError as error:
            if error.err_code == FPDF_ERR_PASSWORD:
                raise DocumentError(
                    "is protected by a password. Save a copy without one."
                ) from None
            raise DocumentError("is a broken PDF. Open it and save it again.") from None
        try:
            title = _pdf_title(document)
            text = join_lines(_pdf_pages(document))
        except PdfiumError:
            raise DocumentError("has a page that cannot be read. Save it again.") from None
        finally:
            document.close()
    text = _LINE_END_HYPHEN.sub("", text).replace("\r\n", "\n")
    if not text.strip():
        raise DocumentError(
            "has no text, only pictures of pages. Run text recognition (OCR) on it first."
        )
    return DocumentText(title, limited(text))


def _pdf_title(document: PdfDocument) -> str:
    try:
        return str(document.get_metadata_value("Title"))
    except UnicodeDecodeError:  # half a pair of UTF-16
        return ""


def _pdf_pages(document: PdfDocument) -> Iterator[str]:
    for page in document:
        content = page.get_textpage()
        text = content.get_text_range()
        content.close()
        page.close()
        yield text


# ------------------------------------------------------------------------------------------ DOCX

_MEGABYTE = 1024 * 1024
_CHUNK = 1 << 16  # bytes unpacked at once
_MAIN_PART = "word/document.xml"
_CORE_PROPERTIES = "docProps/core.xml"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
_BODY, _PARAGRAPH, _TEXT = f"{_WORD}body", f"{_WORD}p", f"{_WORD}t"
_TITLE = "http://purl.org/dc/elements/1.1/ title"
_UNREAD = frozenset(  # the copy of a drawing for older programs, and the places of tabs
    {"http://schemas.openxmlformats.org/markup-compatibility/2006 Fallback", f"{_WORD}tabs"}
)
_GAPS = {
    _PARAGRAPH: "\n",
    f"{_WORD}tab": " ",
    f"{_WORD}br": "\n",
    f"{_WORD}cr": "\n",
    f"{_WORD}noBreakHyphen": "-",
}


def read_docx(content: bytes, max_unpacked: int = MAX_UNPACKED_BYTES) -> DocumentText:
    """Return the title and the paragraphs as lines, those of tables and text boxes included.

    Insertions under review count, deletions do not. Raises `DocumentError` for a document that is
    broken, old, has a password, is another archive, unpacks to more than `max_unpacked` bytes, or
    has more than `MAX_ELEMENTS` elements.
    """
    if content.startswith(OLE):
        raise DocumentError(
            "is an old Office file or protected by a password. Save it as DOCX without one."
        )
    with _broken_document(), zipfile.ZipFile(BytesIO(content)) as archive:
        members = archive.infolist()
        _check_members(members, max_unpacked)
        is_titled = any(member.filename == _CORE_PROPERTIES for member in members)
        title = _PartReader(_TITLE).read(archive, _CORE_PROPERTIES).text if is_titled else ""
        main = _PartReader(_TEXT).read(archive, _MAIN_PART)
    if not main.has_body:
        raise _broken()
    return DocumentText(title, limited(main.text.strip("\n")))


def _broken() -> DocumentError:
    return DocumentError("is a broken Word document. Open it and save it again.")


@contextmanager
def _broken_document() -> Iterator[None]:
    """Say of every error in archive and XML that the document is broken."""
    try:
        yield
    except DocumentError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        OverflowError,  # places in the archive beyond 64 bits
        RuntimeError,  # members with passwords
        LookupError,  # encodings that do not exist
        ValueError,
        expat.ExpatError,
    ):
        raise _broken() from None


def _check_members(members: list[zipfile.ZipInfo], max_unpacked: int) -> None:
    unpacked = sum(member.file_size for member in members)
    if unpacked > max_unpacked:
        raise DocumentError(
            f"unpacks to {unpacked / _MEGABYTE:,.0f} MB; the limit is "
            f"{max_unpacked / _MEGABYTE:,.0f} MB. Save its text on its own."
        )
    if not any(member.filename == _MAIN_PART for member in members):
        raise DocumentError("is an archive, not a Word document. Unpack it, or save it as DOCX.")
    packed = {member.compress_type for member in members}
    if not packed <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:  # all that Word documents may use
        raise _broken()


class _PartReader:
    """The text of one part of a Word document, taken as a stream; its tree is never built."""

    def __init__(self, tag: str) -> None:
        self.has_body = False
        self._tag = tag  # of the elements with text
        self._pieces: list[str] = []
        self._characters = 0
        self._elements = 0
        self._depth = 0
        self._unread = 0  # open elements that are not read
        self._in_text = False

    @property
    def text(self) -> str:
        """Return what was read."""
        return "".join(self._pieces)

    def read(self, archive: zipfile.ZipFile, name: str) -> _PartReader:
        """Read a part; raises `DocumentError` and what `_broken_document` handles."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = _refuse_doctype
        with archive.open(name) as part:
            while chunk := part.read(_CHUNK):
                parser.Parse(chunk)
        parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by place alone
        return self

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > MAX_ELEMENTS:
            raise DocumentError(
                f"has more than {MAX_ELEMENTS:,} elements. Split it, or save its text on its own."
            )
        if self._depth > MAX_DEPTH:
            raise _broken()
        self.has_body |= tag == _BODY
        self._unread += tag in _UNREAD
        self._in_text = tag == self._tag
        if tag in _GAPS:
            self._add(_GAPS[tag])

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._unread -= tag in _UNREAD
        self._in_text = False

    def _data(self, text: str) -> None:
        if self._in_text:
            self._add(text)

    def _add(self, text: str) -> None:
        if self._unread:
            return
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise _too_long()
        self._pieces.append(text)


def _refuse_doctype(*_: object) -> None:
    raise _broken()  # Word documents have none, and entities come with it


# ------------------------------------------------------------------------------------------ HTML

# Every alternative ends at the end of the page at the latest, and none steps back: reading takes
# time in proportion to the page, which no parser does that looks for each end tag's element.
_MARKUP = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<(?P<end>/?)(?P<tag>[a-zA-Z][^\s/>]*+)"
    r"(?:[^>\"'=]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))?+|[\"'])*+(?:>|\Z)"
    r"|<[!?/][^>]*+(?:>|\Z)",
    re.DOTALL,
)
_RAW = {  # elements without markup inside, and their ends
    tag: re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE)
    for tag in ("iframe", "script", "style", "textarea", "title")
}
_FURNITURE = re.compile(
    "script|style|noscript|template|nav|footer|aside|button|label|select|textarea|svg|iframe|object"
)
_PROSE = frozenset(["p", "article", "main"])
_EMPTY = frozenset(["br", "hr"])
_BLOCKS = re.compile(
    "address|article|blockquote|body|br|caption|dd|div|dl|dt|figcaption|figure|form|h[1-6]|header"
    "|hr|li|main|ol|p|pre|section|table|td|th|tr|ul"
)
_LONG_NUMBER = re.compile(r"&#\d{9,};?")  # no character, and more digits than int() may take


def read_html(page: str) -> DocumentText:
    """Return the title and the paragraphs of a page as lines, without navigation and forms.

    Headers are read inside an article or the main part, forms where they hold paragraphs: some
    servers wrap whole pages in one. Raises `DocumentError` for more than `MAX_HTML_CHARACTERS`.
    """
    if len(page) > MAX_HTML_CHARACTERS:
        raise DocumentError(
            f"has {len(page):,} characters of HTML; a page may have {MAX_HTML_CHARACTERS:,}. "
            "Save its text on its own."
        )
    reader = _PageReader()
    reader.feed(page.replace("\r\n", "\n").replace("\r", "\n"))
    return reader.finish()


class _Element(NamedTuple):
    tag: str
    is_read: bool
    start: int  # in the pieces of text


class _PageReader:
    """The text of a page, taken tag by tag; the tree of its elements is never built."""

    def __init__(self) -> None:
        self._title = ""
        self._pieces: list[str] = []
        self._elements: list[_Element] = []
        self._open = Counter[str]()  # elements by tag
        self._unread = 0  # open elements that are not read
        self._last_prose = -1  # where the last paragraph began, in the pieces

    def feed(self, page: str) -> None:
        """Read a whole page."""
        position = 0
        while markup := _MARKUP.search(page, position):
            self._read(page[position : markup.start()])
            position = markup.end()
            tag = (markup["tag"] or "").lower()
            if markup["end"]:
                self._close(tag)
            elif tag:
                is_empty = tag in _EMPTY or page.endswith("/>", markup.start(), position)
                self._begin(tag, is_empty=is_empty)
                if tag in _RAW and not is_empty:
                    position = self._skip(tag, page, position)
        self._read(page[position:])

    def finish(self) -> DocumentText:
        """Return the page as read."""
        while self._elements:
            self._pop()
        lines = (" ".join(line.split()) for line in "".join(self._pieces).split("\n"))
        return DocumentText(self._title, "\n".join(line for line in lines if line))

    def _begin(self, tag: str, *, is_empty: bool) -> None:
        if not (_BLOCKS.fullmatch(tag) or _FURNITURE.fullmatch(tag)):
            return
        if not is_empty:
            self._push(tag)
        if not self._unread:
            if tag in _PROSE:
                self._last_prose = len(self._pieces)
            self._pieces.append("\n")

    def _push(self, tag: str) -> None:
        is_furniture = (
            not self._is_in_article() if tag == "header" else bool(_FURNITURE.fullmatch(tag))
        )
        self._elements.append(_Element(tag, not is_furniture, len(self._pieces)))
        self._open[tag] += 1
        self._unread += is_furniture

    def _is_in_article(self) -> bool:
        return self._open["article"] > 0 or self._open["main"] > 0

    def _close(self, tag: str) -> None:
        """End the innermost element of a tag and all that were left open in it."""
        if tag in _EMPTY:
            self._begin(tag, is_empty=True)  # browsers take </br> for <br>
        elif self._open[tag]:
            while self._pop() != tag:
                pass

    def _pop(self) -> str:
        element = self._elements.pop()
        self._open[element.tag] -= 1
        self._unread -= not element.is_read
        if element.tag == "form" and self._last_prose < element.start:
            del self._pieces[element.start :]
        if not self._unread:
            self._pieces.append("\n")
        return element.tag

    def _read(self, text: str) -> None:
        if text and not self._unread:
            text = text if self._open["pre"] else text.replace("\n", " ")
            self._pieces.append(_characters(text))

    def _skip(self, tag: str, page: str, start: int) -> int:
        """Return where the content of an element without markup ends; keep the page's title."""
        found = _RAW[tag].search(page, start)
        end = found.start() if found else len(page)
        if tag == "title" and not self._unread and not self._title:
            self._title = " ".join(_characters(page[start:end]).split())
        return end


def _characters(text: str) -> str:
    """Return the text with character references resolved."""
    return html.unescape(_LONG_NUMBER.sub("\ufffd", text)) if "&" in text else text
