from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.search.analysis import words_of
from lib.search.model import MAX_QUERY_CHARACTERS, SearchRequest
from lib.search.parse import Clause, Fuzzy, Phrase, Prefix, Word, _forms, parse_query


def word(form: str, repeats: int = 1) -> Word:
    return Word(form, ((form, repeats),))


@pytest.mark.parametrize(
    ("query", "clauses"),
    [
        ("", ()),
        ("bucket", (word("bucket"),)),
        ("Bucket, POLICY!", (word("bucket"), Word("polici", (("policy", 1),)))),
        ("key key lock", (word("key", 2), word("lock"))),
        ("keys key", (Word("key", (("keys", 1), ("key", 1))),)),
        ("how to encrypt", (word("encrypt"),)),
        ("how to", (word("how"), word("to"))),
        ('"how to" encrypt', (word("encrypt"), Phrase(("how", "to")))),
        ("“access key”", (Phrase(("access", "key")),)),
        ('lock"access key"lock', (word("lock", 2), Phrase(("access", "key")))),
        ("encr* lock", (word("lock"), Prefix("encr"))),
        ("clustre~", (Fuzzy("clustre"),)),
        ("to*", (Prefix("to"),)),
        ("s3-buck*", (word("s3"), Prefix("buck"))),
        ('"a* b~"', (Phrase(("a", "b")),)),
        ("lock lock* lock*", (word("lock"), Prefix("lock"))),
    ],
)
def test_reads_the_query_language(query: str, clauses: tuple[Clause, ...]) -> None:
    parsed = parse_query(query)
    assert parsed.clauses == clauses
    assert parsed.notes == ()


@pytest.mark.parametrize(
    ("query", "clauses", "note"),
    [
        ('"access key', (Word("access", (("access", 1),)), word("key")), "no partner"),
        ('"a b" "lock', (word("lock"), Phrase(("a", "b"))), "no partner"),
        ("* lock", (word("lock"),), r"A \* that"),
        ("l*ck", (word("l"), word("ck")), r"A \* that"),
        ("lock ~", (word("lock"),), "A ~ that"),
        ("*lock*", (Prefix("lock"),), r"A \* that"),
        ("lock\x00key", (word("lock"), word("key")), "Control characters"),
        ("?!", (), "every document matches"),
        ('""', (), "every document matches"),
    ],
)
def test_what_is_no_syntax_is_text_with_a_note(
    query: str, clauses: tuple[Clause, ...], note: str
) -> None:
    parsed = parse_query(query)
    assert parsed.clauses == clauses
    assert len(parsed.notes) == 1
    assert re.search(note, parsed.notes[0])


@given(st.text(alphabet='ab*~"“” \n\t.\x07é漢', max_size=30))
def test_never_fails_and_every_note_is_a_sentence(query: str) -> None:
    assert all(note[0].isupper() and note.endswith(".") for note in parse_query(query).notes)


@given(st.text(alphabet="aB_9 .-x", max_size=200))
def test_words_in_ascii_are_those_of_the_index(text: str) -> None:
    assert _forms(text) == [form for form, _, _ in words_of(text)]


def test_line_breaks_separate_words_without_a_note() -> None:
    assert parse_query("lock\n\tkey").notes == ()
    assert parse_query("lock\n\tkey").clauses == (word("lock"), word("key"))


def test_ten_thousand_characters_are_refused_before() -> None:
    with pytest.raises(ValueError, match="10,000 characters; the limit is 2,000"):
        SearchRequest("x" * 10_000)
    assert len(parse_query("x y " * (MAX_QUERY_CHARACTERS // 4)).clauses) == 2
