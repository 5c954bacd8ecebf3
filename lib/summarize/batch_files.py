"""Texts and references out of a CSV or JSON Lines file, with what is wrong line by line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from lib.documents import OLE, decode
from lib.summarize.comparison import check_reference
from lib.summarize.model import MAX_CHARACTERS, TextError, looks_binary

SUFFIXES = ("csv", "tsv", "jsonl", "ndjson", "json", "txt")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
MOST_ROWS = 10_000
TEXT_NAMES = ("text", "article", "document", "source", "content", "body", "dialogue", "transcript")
REFERENCE_NAMES = ("reference", "references", "summary", "highlights", "abstract", "target")
ID_NAMES = ("id", "key", "name", "title")
_DELIMITERS = ",;\t|"
_MEGABYTE = 1024 * 1024  # as Streamlit counts uploads
_SHOWN_COLUMNS = 8

Cell = tuple[str, ...]  # the strings of a list, or the one of a plain cell


@dataclass(frozen=True)
class Fault:
    """A line of a file that cannot be used, counted from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Row:
    """One row of a file, by column, and the line it begins on."""

    line: int
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Table:
    """What a file holds."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Roles:
    """Which columns hold the text, the reference and the id; "" where there is none."""

    text: str
    reference: str = ""
    id: str = ""


@dataclass(frozen=True)
class Item:
    """A text to summarize, what to call it, and the summaries to compare with."""

    id: str
    text: str
    references: tuple[str, ...] = ()


def read_table(name: str, data: bytes, limit_mb: int) -> Table:
    """Return the rows of a file; name or content tell JSON Lines from CSV, content all else.

    Broken lines become faults. Raises `TextError` for a file without any row, or of another kind.
    """
    shown = " ".join(part for part in name.split() if part.isprintable())[-80:]
    if len(data) > limit_mb * _MEGABYTE:
        raise TextError(f"{shown} has {len(data) / _MEGABYTE:,.1f} MB; the limit is {limit_mb} MB.")
    if data.startswith((b"PK\x03\x04", OLE)):
        raise TextError(f"{shown} is a spreadsheet or archive. Save it as CSV (UTF-8).")
    text = decode(data)
    if not text.strip():
        raise TextError(f"{shown} is empty. It needs a row for each text.")
    if looks_binary(text):
        raise TextError(f"{shown} is not a text file. CSV and JSON Lines can be read.")
    is_json = name.lower().endswith(JSON_SUFFIXES)
    if is_json and text.lstrip().startswith("[") and text.rstrip().endswith("]"):
        raise TextError(f"{shown} is one JSON array. Write its objects one a line (JSON Lines).")
    is_json = is_json or text.lstrip().startswith("{")
    found = list(_json_rows(text) if is_json else _csv_rows(text))
    rows = tuple(each for each in found if isinstance(each, Row))
    faults = tuple(each for each in found if isinstance(each, Fault))
    if not rows:
        why = f" Line {faults[0].line:,}: {faults[0].reason}" if faults else ""
        raise TextError(f"{shown} has no row that can be read.{why}")
    if len(rows) > MOST_ROWS:
        raise TextError(f"{shown} has {len(rows):,} rows; at most {MOST_ROWS:,} make a batch.")
    return Table(tuple(dict.fromkeys(key for row in rows for key in row.cells)), rows, faults)


def guess_roles(columns: Sequence[str]) -> Roles:
    """Return the columns whose names say what they hold; "" for what no name says."""
    by_name = {column.strip().lower(): column for column in reversed(columns)}

    def first(names: Sequence[str]) -> str:
        return next((by_name[name] for name in names if name in by_name), "")

    return Roles(first(TEXT_NAMES), first(REFERENCE_NAMES), first(ID_NAMES))


def no_text_column(columns: Sequence[str]) -> str:
    """Return the sentence for a file in which no column is named like a text."""
    more = "" if len(columns) <= _SHOWN_COLUMNS else f" and {len(columns) - _SHOWN_COLUMNS:,} more"
    named = ", ".join(columns[:_SHOWN_COLUMNS])
    return f"No column is named {', '.join(TEXT_NAMES)}; there are: {named}{more}. Choose one."


def items_of(table: Table, roles: Roles) -> tuple[tuple[Item, ...], tuple[Fault, ...]]:
    """Return the texts that can be summarized, and the faults of file and rows in line order."""
    items, faults = [], list(table.faults)
    for row in table.rows:
        text = "\n".join(row.cells.get(roles.text, ()))
        references = tuple(each for each in row.cells.get(roles.reference, ()) if each.strip())
        try:
            _check(text, references)
        except TextError as error:
            faults.append(Fault(row.line, str(error)))
            continue
        called = " ".join(row.cells.get(roles.id, ())).strip() or f"Line {row.line}"
        items.append(Item(called, text, references))
    return tuple(items), tuple(sorted(faults, key=lambda fault: fault.line))


def _check(text: str, references: Sequence[str]) -> None:
    if not text.strip():
        raise TextError("The text is empty.")
    if len(text) > MAX_CHARACTERS:
        raise TextError(f"The text has {len(text):,} characters; the limit is {MAX_CHARACTERS:,}.")
    for reference in references:
        check_reference(reference)


def _csv_rows(text: str) -> Iterator[Row | Fault]:
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    first_line = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first_line.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Fault(line, f"This is not CSV ({error}). Look for a quote that is never closed.")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = _unique([cell.strip() for cell in cells])
        elif len(cells) == len(header):
            yield Row(line, {key: (cell,) for key, cell in zip(header, cells, strict=True)})
        else:
            yield Fault(
                line,
                f"It has {len(cells):,} cells and the header {len(header):,}. "
                "Put texts that hold the delimiter in quotes.",
            )


def _unique(names: list[str]) -> list[str]:
    """Return the header's names: empty and repeated ones are numbered by their column."""
    return [
        name if name and name not in names[:at] else f"{name or 'column'} {at + 1}"
        for at, name in enumerate(names)
    ]


def _json_rows(text: str) -> Iterator[Row | Fault]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            yield Fault(number, "This is not JSON. Each line has to be one whole object.")
            continue
        if not isinstance(found, dict):
            yield Fault(number, 'This is JSON, but no object like {"text": "..."}.')
            continue
        yield Row(number, {_clean(key): _cell(value) for key, value in found.items()})


def _cell(value: Any) -> Cell:
    """Return the strings of a JSON value; objects and lists of them have none."""
    if isinstance(value, str):
        return (_clean(value),)
    if isinstance(value, list):
        return tuple(_clean(each) for each in value if isinstance(each, str))
    return () if value is None or isinstance(value, dict) else (str(value),)


def _clean(text: str) -> str:
    """Return the text without half characters, which JSON can name and no file can hold."""
    return text.encode("utf-8", "replace").decode()
