"""Names in a sentence, by their capitals, in scripts that have them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r"(?:[^\W\d_]\.){2,}|['’]s\b|[^\W_]+")
_GAP = re.compile(r"[ \u00a0]?(?:[-/'’&]|[ \u00a0])[ \u00a0]?")
_ABBREVIATED = re.compile(r"\.[ \u00a0]?")
_CONNECTORS = frozenset(
    "of de del della der den di da do dos du la le van von zu al el bin ibn y".split()  # noqa: SIM905 words read best as text
)
_HONORIFICS = frozenset(
    "mr mrs ms miss dr prof sir dame lord lady herr frau hr fr m mme mlle sr sra st president "  # noqa: SIM905 the same
    "chancellor minister senator sen gov gen judge king queen prince princess pope".split()
)
_DEMONYM = re.compile(r"(?<=[^\W\d_]{4})(?:ian|ia|an|ese|ish|a|n|y|i)$")
_LEAST_PLURAL = 4  # letters that a plural has more than
_ACRONYM = range(2, 7)  # letters


@dataclass(frozen=True)
class Token:
    """One word at characters `[start, end)`: as a key that case and accents do not change."""

    start: int
    end: int
    key: str
    capital: bool
    acronym: bool


@dataclass(frozen=True)
class Name:
    """A name at characters `[start, end)`, as the keys of its words without titles."""

    start: int
    end: int
    keys: tuple[str, ...]
    acronym: bool


def fold(word: str) -> str:
    """Return a word without case and accents."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def name_tokens(sentence: str) -> list[Token]:
    """Return the words of a sentence that names are made of.

    Initials with full stops are one word ("U.S." is "us"). The endings of possessives, titles of
    persons and the small words within names are left out.
    """
    return [token for token in _tokens(sentence) if _is_part(token)]


def find_names(sentence: str, capitals: frozenset[str]) -> list[Name]:
    """Return the runs of capitalised words, in order.

    The first word of a sentence counts when it is among the `capitals`, the keys of words seen
    with a capital elsewhere, or written in capitals only.
    """
    found: list[Name] = []
    run: list[Token] = []
    before: Token | None = None
    for token in _tokens(sentence):
        is_name = token.capital and (before is not None or token.acronym or token.key in capitals)
        if run and not _goes_on(sentence, run, token):
            found += _named(run)
            run = []
        if is_name or (run and token.key in _CONNECTORS and token.key != "'s"):
            run.append(token)
        elif run:
            found += _named(run)
            run = []
        before = token
    return found + list(_named(run))


def capitals_within(sentences: Iterable[str]) -> frozenset[str]:
    """Return the keys of words that have a capital where no sentence begins."""
    return frozenset(
        token.key for each in sentences for token in _tokens(each)[1:] if token.capital
    )


def acronyms_of(tokens: list[Token]) -> Iterator[str]:
    """Yield the initials of every run of capitalised words: "who" of World Health Organization."""
    run = ""
    for token in [*tokens, None]:
        if token is not None and token.capital:
            run += token.key[0]
            continue
        for start in range(len(run)):
            for size in _ACRONYM:
                if start + size <= len(run):
                    yield run[start : start + size]
        run = ""


def forms_of(key: str) -> set[str]:
    """Return the key, its singular, and what a demonym's ending leaves of them: America's."""
    singular = key.removesuffix("s") if len(key) > _LEAST_PLURAL else key
    return {key, singular, _DEMONYM.sub("", key), _DEMONYM.sub("", singular)}


def _tokens(sentence: str) -> list[Token]:
    tokens = []
    for match in _TOKEN.finditer(sentence):
        word = match[0]
        letters = word.replace(".", "")
        key = "'s" if word[0] in "'’" else fold(letters)
        if not key:
            continue
        acronym = letters.isupper() and len(letters) in _ACRONYM
        tokens.append(Token(*match.span(), key, word[0].isupper(), acronym))
    return tokens


def _is_part(token: Token) -> bool:
    return token.key != "'s" and token.key not in _CONNECTORS and token.key not in _HONORIFICS


def _goes_on(sentence: str, run: list[Token], token: Token) -> bool:
    """Tell whether a word can belong to the run of words before it."""
    last = run[-1]
    if last.key == "'s" or token.key == "'s":
        return False
    if _GAP.fullmatch(sentence, last.end, token.start):
        return True
    short = last.end - last.start == 1 or last.key in _HONORIFICS
    return short and _ABBREVIATED.fullmatch(sentence, last.end, token.start) is not None


def _named(run: list[Token]) -> Iterator[Name]:
    parts = [token for token in run if _is_part(token)]
    if parts and (len(parts) > 1 or len(parts[0].key) > 1):  # "I" is no name
        acronym = len(parts) == 1 and parts[0].acronym
        yield Name(parts[0].start, parts[-1].end, tuple(token.key for token in parts), acronym)
