"""Plain text out of uploaded files: TXT, Markdown, PDF, DOCX and HTML."""

from __future__ import annotations

import re
from pathlib import PurePath

from lib.documents import OLE, DocumentError, decode, limited, read_docx, read_html, read_pdf
from lib.summarize.model import TextError, looks_binary

SUFFIXES = ("txt", "md", "pdf", "docx", "html", "htm")
_MEGABYTE = 1024 * 1024  # as Streamlit counts uploads
_ZIP = b"PK\x03\x04"
_HTML_TAG = re.compile(r"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_LONGEST_TITLE = 80  # characters


def read_text(name: str, data: bytes, limit_mb: int) -> str:
    """Return the text of a file, its paragraphs as lines; the content decides on its type.

    The name only tells HTML without a head from text, and appears in messages; it is never used as
    a path. Raises `TextError` with a sentence for a file that is too large, empty or broken,
    protected by a password, or of another type.
    """
    try:
        return limited(_read(PurePath(name).suffix.lower(), data, limit_mb))
    except DocumentError as error:
        raise TextError(error.about(_title(name))) from None


def _title(name: str) -> str:
    """Return the name as messages show it: printable, without folders, not too long."""
    shown = "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable())
    return shown if len(shown) <= _LONGEST_TITLE else f"{shown[:_LONGEST_TITLE]}…"


def _read(suffix: str, data: bytes, limit_mb: int) -> str:
    if len(data) > limit_mb * _MEGABYTE:
        megabytes = len(data) / _MEGABYTE
        raise DocumentError(f"has {megabytes:,.1f} MB; the limit is {limit_mb} MB.")
    if b"%PDF-" in data[:1024]:
        return read_pdf(data).text
    if data.startswith((_ZIP, OLE)):
        return read_docx(data).text
    if data.startswith(b"{\\rtf"):
        raise DocumentError("is an RTF file. Save it as DOCX, PDF or text.")
    text = decode(data)
    if looks_binary(text):
        raise DocumentError("is not a text file. Text, Markdown, PDF, DOCX and HTML can be read.")
    return read_html(text).text if _is_html(suffix, text) else text


def _is_html(suffix: str, text: str) -> bool:
    start = text[:1024].lstrip("\ufeff \t\r\n")
    return suffix in {".html", ".htm"} or bool(start[:1] == "<" and _HTML_TAG.search(start))
