"""Files of texts: what columns are found, and what is said of every line that is broken."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize.batch_files import (
    Item,
    Roles,
    guess_roles,
    items_of,
    no_text_column,
    read_table,
)
from lib.summarize.comparison import MOST_REFERENCE_WORDS
from lib.summarize.model import TextError

LIMIT_MB = 16


def items(data: bytes, name: str = "texts.csv") -> tuple[list[Item], list[tuple[int, str]]]:
    table = read_table(name, data, LIMIT_MB)
    found, faults = items_of(table, guess_roles(table.columns))
    return list(found), [(fault.line, fault.reason) for fault in faults]


cells = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=30
)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_what_a_spreadsheet_writes_is_read_back(
    pairs: list[tuple[str, str]], delimiter: str
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "reference"])
    writer.writerows([("t" + text, reference) for text, reference in pairs])
    table = read_table("a.csv", file.getvalue().encode("utf-8-sig"), LIMIT_MB)
    assert [(row.cells["text"], row.cells["reference"]) for row in table.rows] == [
        (("t" + text,), (reference,)) for text, reference in pairs
    ]
    assert not table.faults


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9), min_size=1), min_size=1))
def test_json_lines_are_read_back(objects: list[dict[str, str]]) -> None:
    data = "\n".join(json.dumps(each) for each in objects).encode()
    table = read_table("a.jsonl", data, LIMIT_MB)
    clean = [
        {
            key.encode("utf-8", "replace").decode(): (value.encode("utf-8", "replace").decode(),)
            for key, value in each.items()
        }
        for each in objects
    ]
    assert [row.cells for row in table.rows] == clean


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (["id", "article", "highlights"], Roles("article", "highlights", "id")),
        (["Text", " Reference "], Roles("Text", " Reference ")),
        (["title", "body"], Roles("body", id="title")),
        (["a", "b"], Roles("")),
    ],
)
def test_columns_are_recognised_by_name(columns: list[str], roles: Roles) -> None:
    assert guess_roles(columns) == roles


def test_no_text_column_is_a_sentence_with_the_columns_there_are() -> None:
    assert no_text_column(["a", "b"]).endswith("there are: a, b. Choose one.")
    assert "and 2 more" in no_text_column([str(number) for number in range(10)])


def test_several_references_and_paragraphs() -> None:
    line = json.dumps({"id": 7, "text": ["One.", "Two."], "reference": ["A.", "", "B."]})
    assert items(line.encode())[0] == [Item("7", "One.\nTwo.", ("A.", "B."))]


def test_every_broken_line_is_listed_and_the_others_are_kept() -> None:
    data = b'{"text": "Good one."}\n{"text": \n[1, 2]\n\n{"text": {"a": 1}}\n{"text": "  "}\n'
    data += b"[" * 100_000 + b"\n" + b'{"text": 1' + b"0" * 6_000 + b"}\n" + b'{"text": "More."}'
    found, faults = items(data)
    assert [item.text for item in found] == ["Good one.", "More."]
    assert [item.id for item in found] == ["Line 1", "Line 9"]
    assert [line for line, _ in faults] == [2, 3, 5, 6, 7, 8]
    assert faults[0][1].startswith("This is not JSON")
    assert "no object" in faults[1][1]
    assert faults[2][1] == "The text is empty."


def test_broken_rows_of_csv_are_listed() -> None:
    found, faults = items(b'text,id\nA good text.,1\nA text, with a comma,2\n"bad"quote,3\nB.,4\n')
    assert [item.id for item in found] == ["1", "4"]
    assert [line for line, _ in faults] == [3, 4]
    assert "It has 3 cells and the header 2" in faults[0][1]
    assert "never closed" in faults[1][1]


def test_a_quote_that_is_never_closed_is_found() -> None:
    found, [fault] = items(b'text\nFine.\n"open\nand on\n' + b"and on\n" * 1000)
    assert [item.text for item in found] == ["Fine."]
    assert fault[0] == 3


def test_a_name_tells_json_lines_whose_first_line_is_broken() -> None:
    found, faults = items(b'oops\n{"text": "A."}\n', "a.JSONL")
    assert [item.text for item in found] == ["A."]
    assert [line for line, _ in faults] == [1]


def test_a_json_array_gets_a_sentence() -> None:
    with pytest.raises(TextError, match="one JSON array"):
        read_table("a.json", b'[{"text": "A."}]', LIMIT_MB)


def test_a_cell_longer_than_pythons_limit_is_read() -> None:
    [item], _ = items(b"text\n" + b"word " * 100_000 + b"\n")
    assert len(item.text) == 500_000


def test_one_line_of_many_megabytes_is_read_or_refused_in_a_sentence() -> None:
    long = b'{"text": "' + b"word " * 1_500_000 + b'"}'
    found, [fault] = items(long)
    assert not found
    assert "7,500,000 characters" in fault[1]
    with pytest.raises(TextError, match="the limit is 16 MB"):
        read_table("a.csv", b"x" * (17 * 1024 * 1024), LIMIT_MB)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"text\n", "no row"),
        (b"{oops", "Line 1: This is not JSON"),
        (b"PK\x03\x04rest", "Save it as CSV"),
        (b"text\n\x00\x01\x02\x00\x00" * 9, "not a text file"),
        (b"text\n" + b"a\n" * 10_001, "10,001 rows"),
    ],
)
def test_a_file_without_texts_gets_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(TextError, match=said):
        read_table("a.csv", data, LIMIT_MB)


@pytest.mark.parametrize("charset", ["utf-16", "utf-8-sig", "cp1252"])
def test_other_charsets_are_read(charset: str) -> None:
    [item], _ = items("text\nÜber Größe gesprochen.\n".encode(charset))
    assert item.text == "Über Größe gesprochen."


def test_a_reference_as_long_as_a_book_is_a_fault() -> None:
    line = json.dumps({"text": "A.", "reference": "word " * (MOST_REFERENCE_WORDS + 1)})
    found, [fault] = items(line.encode())
    assert not found
    assert "reference" in fault[1]


def test_columns_without_a_name_or_with_the_same_are_numbered() -> None:
    assert read_table("a.csv", b"text,,text\na,b,c\n", LIMIT_MB).columns == (
        "text",
        "column 2",
        "text 3",
    )
