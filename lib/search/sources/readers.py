"""Title and text out of files: PDF, DOCX, HTML, Markdown, text, CSV and JSON."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from lib.documents import (
    DocumentError,
    DocumentText,
    decode,
    join_lines,
    limited,
    read_docx,
    read_html,
    read_pdf,
)
from lib.search.model import Value
from lib.search.sources.metadata import DATES, MAX_NAME_CHARACTERS, parse_date

MAX_FILE_BYTES = 50_000_000  # as in Kendra
MAX_JSON_BYTES = 10_000_000
MAX_ROWS = 500_000  # of a CSV file, each a document in memory
MAX_FACET_CHARACTERS = 200  # columns with longer values are text, not attributes
TITLE_COLUMNS = ("title", "name", "subject", "headline")

TYPES = {  # by Kendra's names
    "pdf": "PDF",
    "docx": "MS_WORD",
    "html": "HTML",
    "htm": "HTML",
    "xhtml": "HTML",
    "md": "MD",
    "markdown": "MD",
    "txt": "PLAIN_TEXT",
    "text": "PLAIN_TEXT",
    "csv": "CSV",
    "json": "JSON",
}
READABLE = "PDF, DOCX, HTML, Markdown, TXT, CSV and JSON can be read."

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LINES = re.compile(r"\r\n?|[\f\v\x85\u2028\u2029]")
_MD_LINK = re.compile(r"!?\[([^\[\]\n]*+)\]\([^()\n]*+(?:\([^()\n]*+\)[^()\n]*+)*+\)")
_MD_MARKS = re.compile(r"^(?:#{1,6}[ \t]+|>[ \t]?|```.*$|~~~.*$)|\*\*|__|`", re.MULTILINE)
_MD_TITLE = re.compile(r"^#[ \t]+(.+)$", re.MULTILINE)
_SNIFFED = 4_000  # characters; the sniffer takes the square of their number
_WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d{0,17}")  # a leading zero is a code, not a number


class ReadError(ValueError):
    """A file that cannot be read; the message is a sentence."""


@dataclass(frozen=True)
class Reading:
    """What a file, or a row of it, says."""

    title: str
    text: str
    attributes: Mapping[str, Value] = field(default_factory=dict)


def file_type(name: str, content_type: str = "") -> str:
    """Return Kendra's name for a file's type; raises `ReadError` where it cannot be read."""
    found = content_type or TYPES.get(PurePosixPath(name).suffix.lower().lstrip("."), "")
    if found not in READERS and found != "CSV":
        raise ReadError(f"Files of this type cannot be read. {READABLE}")
    return found


def read_file(kind: str, content: bytes) -> Reading:
    """Return title (empty where the file has none) and text of a file; raises `ReadError`."""
    if len(content) > MAX_FILE_BYTES:
        raise ReadError(f"It has {len(content):,} bytes; the limit is {MAX_FILE_BYTES:,}.")
    try:
        reading = READERS[kind](content)
        text = limited(clean(reading.text))
    except DocumentError as error:
        raise ReadError(str(error)) from None
    return Reading(" ".join(clean(reading.title).split()), text)


def clean(text: str) -> str:
    """Return the text without control characters, with line feeds alone as line ends."""
    return _CONTROLS.sub("", _LINES.sub("\n", text)).strip()


def _plain(content: bytes) -> str:
    """Return the text of a text file; raises `ReadError` where it is none."""
    text = decode(content)
    if "\0" in text:
        raise ReadError("It is not text, whatever its name says.")
    return text


# -------------------------------------------------------------------------------- one type each


def _of_document(read: Callable[[bytes], DocumentText]) -> Callable[[bytes], Reading]:
    """Return the reader of a type that other domains read too."""

    def reading(content: bytes) -> Reading:
        document = read(content)
        return Reading(document.title, document.text)

    return reading


def _read_page(content: bytes) -> DocumentText:
    return read_html(decode(content))


def _read_markdown(content: bytes) -> Reading:
    text = _LINES.sub("\n", _plain(content))
    title = _MD_TITLE.search(text)
    plain = _MD_MARKS.sub("", _MD_LINK.sub(r"\1", text))
    return Reading(_MD_MARKS.sub("", title[1]) if title else "", plain)


def _read_text(content: bytes) -> Reading:
    return Reading("", _plain(content))


def _read_json(content: bytes) -> Reading:
    if len(content) > MAX_JSON_BYTES:  # in memory a value takes up to 50 times its length
        raise ReadError(
            f"It has {len(content):,} bytes of JSON; the limit is {MAX_JSON_BYTES:,}. Split it."
        )
    try:
        value = json.loads(_plain(content))
        text = join_lines(_json_lines(value, ""))
    except json.JSONDecodeError as error:
        raise ReadError(
            f"It is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise ReadError("It is nested too deeply.") from None
    except DocumentError:
        raise
    except ValueError:
        raise ReadError("It holds a number that is too long.") from None
    title = value.get("title", value.get("name")) if isinstance(value, dict) else None
    return Reading(title if isinstance(title, str) else "", text)


def _json_lines(value: Any, name: str) -> Iterator[str]:
    """Yield each value of a JSON document with the name it stands under."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _json_lines(child, key)
    elif isinstance(value, list):
        for child in value:
            yield from _json_lines(child, name)
    elif value is not None:
        yield f"{name}: {value}" if name else str(value)


READERS: Mapping[str, Callable[[bytes], Reading]] = {
    "PDF": _of_document(read_pdf),
    "MS_WORD": _of_document(read_docx),
    "HTML": _of_document(_read_page),
    "MD": _read_markdown,
    "PLAIN_TEXT": _read_text,
    "JSON": _read_json,
}


# ---------------------------------------------------------------------------------- rows of CSV


def read_rows(content: bytes) -> list[Reading]:
    """Return each row of a CSV file with a header; its short columns are attributes.

    A column is of whole numbers or of dates where all its values are. Raises `ReadError`.
    """
    if len(content) > MAX_FILE_BYTES:
        raise ReadError(f"It has {len(content):,} bytes; the limit is {MAX_FILE_BYTES:,}.")
    header, rows = _table(clean(_plain(content)))
    names = _attribute_names(header)
    converters = [_converter(name, [row[i] for row in rows]) for i, name in enumerate(names)]
    title_at = next((i for i, name in enumerate(header) if name.lower() in TITLE_COLUMNS), None)
    return [
        Reading(
            title=(row[title_at] if title_at is not None else "") or next(filter(None, row)),
            text="\n".join(f"{n}: {cell}" for n, cell in zip(header, row, strict=True) if cell),
            attributes={
                name: convert(cell)
                for name, cell, convert in zip(names, row, converters, strict=True)
                if cell and convert
            },
        )
        for row in rows
    ]


def _table(text: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows that hold anything, all as long as the header."""
    try:
        lines = list(islice(csv.reader(StringIO(text), _dialect(text)), MAX_ROWS + 2))
    except csv.Error as error:
        raise ReadError(f"It is not CSV: {error}.") from None
    if len(lines) > MAX_ROWS + 1:
        raise ReadError(f"It has more than {MAX_ROWS:,} rows. Split it.")
    rows = [cells for line in lines if any(cells := [cell.strip() for cell in line])]
    if len(rows) < 2:  # noqa: PLR2004 - a header and a row
        raise ReadError("It holds no row below a header.")
    header, *body = rows
    width = max(map(len, body))
    if width > len(header):
        raise ReadError(f"A row has {width} cells where the header has {len(header)}.")
    return header, [row + [""] * (len(header) - len(row)) for row in body]


def _dialect(text: str) -> type[csv.Dialect]:
    try:
        return csv.Sniffer().sniff(text[:_SNIFFED].partition("\n")[0], delimiters=",;\t|")
    except csv.Error:
        return csv.excel


def _attribute_names(header: list[str]) -> list[str]:
    """Return the columns' names in the letters that attributes may have, each once."""
    names: list[str] = []
    for position, column in enumerate(header, 1):
        ascii_ = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_).lstrip("-")[:MAX_NAME_CHARACTERS]
        is_free = name.strip("_") and name not in names
        names.append(name if is_free else f"column_{position}")
    return names


def _converter(name: str, cells: list[str]) -> Callable[[str], Value] | None:
    """Return what makes the values of a column, None where they cannot be an attribute."""
    values = [cell for cell in cells if cell]
    if any(len(value) > MAX_FACET_CHARACTERS for value in values):
        return None
    if all(map(parse_date, values)):
        return _date
    if name in DATES:
        return None
    return int if all(map(_WHOLE_NUMBER.fullmatch, values)) else str


def _date(cell: str) -> Value:
    return parse_date(cell) or cell
