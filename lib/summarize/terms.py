"""Words and terms of a text in any script, and the TF-IDF vectors of its sentences."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise

import numpy as np
from scipy import sparse

# Letters of scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0ec0-\u0ec6\u1000-\u102a\u1780-\u17b3"
    "\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u31f0-\u31ff\uff66-\uff9f"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_MARKS = "".join(c for c in map(chr, range(0x300, 0x11000)) if unicodedata.category(c)[0] == "M")
_HAS_UNSPACED = re.compile(rf"[{UNSPACED}]")
_COUNTED = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}][^\s{UNSPACED}]*")
_SPACED_TERM = re.compile(rf"[^\W_][\w{_MARKS}]+")
_TERM = re.compile(rf"[{UNSPACED}][{UNSPACED}{_MARKS}]*|[^\W_{UNSPACED}][^\W_{UNSPACED}{_MARKS}]+")

_TOKEN = re.compile(rf"[{UNSPACED}][{_MARKS}]*|[^\W_{UNSPACED}](?:[^\W_{UNSPACED}]|[{_MARKS}])*")

_STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "eo": "esperanto",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "st": "sesotho",
    "sv": "swedish",
    "tr": "turkish",
}
_LEAST_STOP_WORDS = 0.1  # share of the words; running text of a known language has 0.3 or more


@dataclass(frozen=True)
class Language:
    """What the terms of a language need: its stop words and the name of its Snowball stemmer."""

    code: str
    stop_words: frozenset[str] = frozenset()
    stemmer: str | None = None


@dataclass(frozen=True)
class TermVectors:
    """TF-IDF vectors of sentences: one unit-length row each, one column a term."""

    matrix: sparse.csr_array
    idf: np.ndarray
    counts: np.ndarray  # how often each term occurs in all sentences together


def count_words(text: str) -> int:
    """Return the words as word processors count them.

    Runs between white space; in text with letters of scripts written without spaces, each such
    letter, and each other run that starts with a letter or digit.
    """
    if _HAS_UNSPACED.search(text):
        return len(_COUNTED.findall(text))
    return len(text.split())


def words_of(text: str) -> list[str]:
    """Return the words that can become terms, in lower case, of two characters or more.

    Scripts written without spaces give overlapping pairs of characters.
    """
    text = text.lower()
    if not _HAS_UNSPACED.search(text):
        return _SPACED_TERM.findall(text)
    return list(chain.from_iterable(map(_pairs, _TERM.findall(text))))


def tokens_of(text: str) -> list[str]:
    """Return all words in lower case, of one character too.

    Scripts written without spaces give single characters.
    """
    return _TOKEN.findall(text.lower())


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the characters `[start, end)` of the words that can become terms, as `words_of`."""
    if not _HAS_UNSPACED.search(text):
        yield from (match.span() for match in _SPACED_TERM.finditer(text))
        return
    for match in _TERM.finditer(text):
        if len(match[0]) == 1 or not _HAS_UNSPACED.match(match[0]):
            yield match.span()
        else:
            yield from ((at, at + 2) for at in range(match.start(), match.end() - 1))


def _pairs(run: str) -> Iterable[str]:
    if len(run) == 1 or not _HAS_UNSPACED.match(run):
        return (run,)
    return (first + second for first, second in pairwise(run))


@cache
def _languages_by_stop_word() -> dict[str, tuple[str, ...]]:
    import stopwordsiso

    languages: dict[str, list[str]] = {}
    for code in sorted(stopwordsiso.langs()):
        for word in stopwordsiso.stopwords(code):
            languages.setdefault(word, []).append(code)
    return {word: tuple(codes) for word, codes in languages.items()}


def detect_language(words: Iterable[str]) -> Language:
    """Return the language whose stop words make up most of the words, "und" below a tenth.

    A stop word that several languages list counts for each of them in equal parts. Chinese and
    Japanese often stay "und", as their words come in pairs of characters; there the idf alone
    tells terms from function words.
    """
    import stopwordsiso

    counts = Counter(words)
    codes_of = _languages_by_stop_word()
    found: Counter[str] = Counter()
    weight: Counter[str] = Counter()
    for word, count in counts.items():
        for code in (codes := codes_of.get(word, ())):
            found[code] += count
            weight[code] += count / len(codes)  # type: ignore[assignment]  # Counter of float
    if not found:
        return Language("und")
    code = max(weight, key=lambda each: (weight[each], each))
    if found[code] < _LEAST_STOP_WORDS * counts.total():
        return Language("und")
    return Language(code, frozenset(stopwordsiso.stopwords(code)), _STEMMERS.get(code))


def term_vectors(sentences: Sequence[Sequence[str]], language: Language) -> TermVectors:
    """Return the TF-IDF vectors of sentences given as words: 1 + ln(tf), smooth idf, unit length.

    Stop words are left out and the others stemmed. A sentence without terms is a row of zeros.
    """
    column_of = _columns(sentences, language)
    columns = np.fromiter((column_of[word] for word in chain.from_iterable(sentences)), np.int64)
    rows = np.repeat(np.arange(len(sentences)), [len(words) for words in sentences])
    kept = columns >= 0
    width = int(columns.max(initial=-1)) + 1
    counts = sparse.coo_array(
        (np.ones(int(kept.sum())), (rows[kept], columns[kept])), shape=(len(sentences), width)
    ).tocsr()
    counts.sum_duplicates()
    sentences_with = np.bincount(counts.indices, minlength=width)
    idf = np.log((1 + len(sentences)) / (1 + sentences_with)) + 1
    totals: np.ndarray = np.asarray(counts.sum(axis=0)).ravel()
    matrix = counts.copy()
    matrix.data = (1 + np.log(counts.data)) * idf[counts.indices]
    return TermVectors(_unit_rows(matrix), idf, totals)


def _columns(sentences: Sequence[Sequence[str]], language: Language) -> dict[str, int]:
    """Return the column of every distinct word, -1 for stop words."""
    distinct = dict.fromkeys(chain.from_iterable(sentences))
    terms = [word for word in distinct if word not in language.stop_words]
    column_of_stem: dict[str, int] = {}
    columns = dict.fromkeys(distinct, -1)
    for word, stem in zip(terms, stems(terms, language), strict=True):
        columns[word] = column_of_stem.setdefault(stem, len(column_of_stem))
    return columns


def stems(words: list[str], language: Language) -> list[str]:
    """Return the stem of each word, or the word composed (NFKC) where there is no stemmer."""
    composed = [unicodedata.normalize("NFKC", word) for word in words]
    if language.stemmer is None:
        return composed
    import Stemmer

    stemmed: list[str] = Stemmer.Stemmer(language.stemmer).stemWords(composed)
    return stemmed


def _unit_rows(matrix: sparse.csr_array) -> sparse.csr_array:
    squares = np.add.reduceat(np.append(matrix.data**2, 0.0), matrix.indptr[:-1])
    lengths = np.sqrt(np.where(np.diff(matrix.indptr) > 0, squares, 1.0))
    matrix.data = matrix.data / np.repeat(lengths, np.diff(matrix.indptr))
    return matrix
