"""The query language: loose words, "phrases", prefix* and fuzzy~ words. Nothing in it fails."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from lib.search.analysis import MAX_WORD_CHARACTERS, stem, words_of

STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "am",
        "an",
        "and",
        "any",
        "are",
        "aren",
        "as",
        "at",
        "be",
        "been",
        "being",
        "but",
        "by",
        "can",
        "could",
        "couldn",
        "did",
        "didn",
        "do",
        "does",
        "doesn",
        "doing",
        "don",
        "for",
        "from",
        "had",
        "hadn",
        "has",
        "hasn",
        "have",
        "haven",
        "having",
        "he",
        "her",
        "here",
        "hers",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "isn",
        "it",
        "its",
        "itself",
        "me",
        "my",
        "of",
        "on",
        "or",
        "our",
        "ours",
        "she",
        "should",
        "shouldn",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "theirs",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "was",
        "wasn",
        "we",
        "were",
        "weren",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "why",
        "will",
        "with",
        "would",
        "wouldn",
        "you",
        "your",
        "yours",
    ]
)


@dataclass(frozen=True)
class Word:
    """A loose word: every form of its stem matches, the forms as written score more.

    `forms` are the different forms as written, each with how often the query repeats it.
    """

    stem: str
    forms: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Phrase:
    """Exact forms that stand one after another."""

    forms: tuple[str, ...]


@dataclass(frozen=True)
class Prefix:
    """The beginning of a form."""

    prefix: str


@dataclass(frozen=True)
class Fuzzy:
    """A form that may differ by one edit: a letter more, less, other, or two swapped."""

    form: str


Clause = Word | Phrase | Prefix | Fuzzy


@dataclass(frozen=True)
class ParsedQuery:
    """The clauses of a query, and sentences about what was ignored in it."""

    clauses: tuple[Clause, ...] = ()
    notes: tuple[str, ...] = ()


_QUOTES = re.compile(r'["“”„«»]')
_ASCII_WORD = re.compile(r"\w+", re.ASCII)
_SYNTAX = re.compile(r'["“”„«»*~]')
# What an apostrophe contracts, and initials: I'd, AWS's, C. Davis, e.g. this; not X.509.
_FRAGMENTS = re.compile(r"(?<=\w)['’](?:s|t|d|m|ll|ve|re)\b|\b[a-z]\.(?=\s*[^\W\d])", re.IGNORECASE)


def parse_query(query: str) -> ParsedQuery:
    """Return the clauses of a query; what is no syntax is text, with a note that says so.

    Outside phrases initials and what an apostrophe contracts are left out, and stop words unless
    the query has nothing else.
    """
    if query.isprintable() and not _SYNTAX.search(query):
        return _parsed(query, _forms(_FRAGMENTS.sub(" ", query)), [], [])
    text, notes = _without_control_characters(query)
    pieces = _QUOTES.split(text)
    if len(pieces) % 2 == 0:
        notes.append("A quotation mark has no partner and was ignored.")
        pieces[-2:] = [f"{pieces[-2]} {pieces[-1]}"]
    loose: list[str] = []
    clauses: list[Clause] = []
    for number, piece in enumerate(pieces):
        if number % 2:
            phrase = tuple(form for form, _, _ in words_of(piece))
            clauses += [Phrase(phrase)] if phrase else []
        else:
            for chunk in _FRAGMENTS.sub(" ", piece).split():
                _read_chunk(chunk, loose, clauses, notes)
    return _parsed(text, loose, clauses, notes)


def _forms(text: str) -> list[str]:
    if text.isascii():  # the same words as by the rules of `analysis`, found sooner
        return [form[:MAX_WORD_CHARACTERS] for form in _ASCII_WORD.findall(text.lower())]
    return [form for form, _, _ in words_of(text)]


def _parsed(text: str, loose: list[str], clauses: list[Clause], notes: list[str]) -> ParsedQuery:
    kept = [form for form in loose if form not in STOP_WORDS]
    if not kept and not clauses:
        kept = loose
    unique = tuple(dict.fromkeys([*_words(kept), *clauses]))
    if not unique and text.strip():
        notes.append("The query has no words in it, so every document matches.")
    return ParsedQuery(unique, tuple(dict.fromkeys(notes)))


def _without_control_characters(query: str) -> tuple[str, list[str]]:
    if query.isprintable():
        return query, []
    text = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cs"} and not letter.isspace() else letter
        for letter in query
    )
    return text, ["Control characters in the query were ignored."] if text != query else []


def _read_chunk(chunk: str, loose: list[str], clauses: list[Clause], notes: list[str]) -> None:
    forms = [form for form, _, _ in words_of(chunk)]
    mark = chunk[-1] if chunk[-1] in "*~" else ""
    if mark and forms and not words_of(chunk[-2:-1]):
        mark = ""
    clean = chunk[:-1] if mark else chunk
    if "*" in clean:
        notes.append("A * that does not end a word was ignored.")
    if "~" in clean:
        notes.append("A ~ that does not end a word was ignored.")
    if not forms:
        if mark:
            notes.append(f"A {mark} that does not end a word was ignored.")
        return
    if mark:
        last = forms.pop()
        clauses.append(Prefix(last) if mark == "*" else Fuzzy(last))
    loose.extend(forms)


def _words(forms: list[str]) -> list[Word]:
    repeats: dict[str, dict[str, int]] = {}
    for form in forms:
        of_stem = repeats.setdefault(stem(form), {})
        of_stem[form] = of_stem.get(form, 0) + 1
    return [Word(key, tuple(of_stem.items())) for key, of_stem in repeats.items()]
