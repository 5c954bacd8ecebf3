"""From text to words, by one set of rules for documents, queries and excerpts.

- A word is a run of letters, digits and underscores of any script, with the marks that belong to
  them; everything else separates words, apostrophes too: "don't" is `don` and `t`.
- In scripts written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) each character, with its
  marks, is a word: adjacent ones are found again as a phrase.
- A form is a word in NFKC and lower case without soft hyphens, cut after 64 characters.
- A stem is the form's stem by the English Snowball stemmer. Stop words are kept.

Words are found by a compiled loop over UTF-8 and looked up as written; normalising, lower-casing
and stemming happen once for each different word as written, so they stay exact in every script.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from lib.search.blobs import blob_of, encoded, find_places
from lib.search.compiled import (
    I64,
    INT,
    RU8,
    RU32,
    RU64,
    U8,
    U32,
    U64,
    VOID,
    WI64,
    WU8,
    WU32,
    WU64,
    Int,
    inlined,
    kernel,
)
from lib.search.segment import Blob

if TYPE_CHECKING:
    import Stemmer

MAX_WORD_CHARACTERS = 64

_SEPARATOR, _LETTER, _MARK, _SINGLE, _NOT_ASCII = 0, 1, 2, 3, 4
_LAST_CHARACTER = 0x323B0  # no letters beyond this one in Unicode 14 to 16
_SINGLE_SCRIPTS = (
    (0x0E00, 0x0F00),  # Thai, Lao
    (0x1000, 0x10A0),  # Burmese
    (0x1780, 0x1800),  # Khmer
    (0x3040, 0x3100),  # Hiragana, Katakana
    (0x31F0, 0x3200),  # Katakana
    (0x3400, 0x4DC0),  # Han
    (0x4E00, 0xA000),  # Han
    (0xF900, 0xFB00),  # Han
    (0xFF66, 0xFFA0),  # halfwidth Katakana
    (0x1B000, 0x1B170),  # kana
    (0x20000, _LAST_CHARACTER),  # Han
)
_MARKS = (0x00AD, 0xFF9E, 0xFF9F)  # soft hyphen, halfwidth voiced sound marks
_SOFT_HYPHEN = "\u00ad"

_ASCII, _LEADING, _THREE_BYTES, _FOUR_BYTES, _REST = 0x80, 0xC0, 0xE0, 0xF0, 0x3F  # of UTF-8

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY = np.uint64(0xD6E8FEB86659FD93)
_LONG = np.uint64(0xFFFFFFFFFFFFFFFF)  # no bytes of UTF-8
_KEY_BYTES = 8
_SLOT = 4  # numbers: half a cache line
_FIRST_SLOTS = 1 << 15
_FIRST_ROOM = 3 * _FIRST_SLOTS // 4  # words; the table is never fuller


@dataclass(frozen=True)
class Tokens:
    """The forms of texts one after another: text i owns `forms[offsets[i]:offsets[i + 1]]`."""

    forms: U32
    offsets: I64


def words_of(text: str) -> list[tuple[str, int, int]]:
    """Return the words of a text in order: form, start and end in characters."""
    data = np.frombuffer(encoded(text), np.uint8)
    room = len(data)
    starts, ends, kept = (np.empty(room, np.int64) for _ in range(3))
    found = _find_words(data, _classes(), starts, ends, kept)
    if room != len(text):
        character = np.zeros(room + 1, np.int64)
        np.cumsum((data & _LEADING) != _ASCII, out=character[1:])
        for places in (starts, ends, kept):
            places[:found] = character[places[:found]]
    spans = zip(starts[:found].tolist(), ends[:found].tolist(), kept[:found].tolist(), strict=True)
    return [(form_of(text[start:cut]), start, end) for start, end, cut in spans]


def form_of(word: str) -> str:
    """Return the form of one word as written: NFKC, lower case, at most 64 characters."""
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFKC", word.replace(_SOFT_HYPHEN, "")).lower()[
        :MAX_WORD_CHARACTERS
    ]


def stem(form: str) -> str:
    """Return the stem of a form by the English Snowball stemmer (Porter 2)."""
    stemmed: str = _stemmer().stemWord(form)
    return stemmed


def warm() -> None:
    """Make ready what the first text would wait for; importing this module compiles its loops."""
    stem(words_of("ready")[0][0])


@dataclass(frozen=True)
class Lexicon:
    """Different texts, numbered as they came, and their numbers in the order of their bytes."""

    texts: Blob
    order: U32

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def extended(self, new: Sequence[str]) -> Lexicon:
        """Return the lexicon with new texts."""
        texts = _appended(self.texts, blob_of(new))
        by_bytes = sorted(range(len(new)), key=new.__getitem__)
        fresh = np.array(by_bytes, np.uint32) + np.uint32(len(self))
        places = np.empty(len(fresh), np.int64)
        find_places(texts.offsets, texts.bytes, self.order, fresh, places)
        return Lexicon(texts, np.insert(self.order, places, fresh))


class Vocabulary:
    """All forms met so far and the stem of each, which grow by being replaced."""

    def __init__(self) -> None:
        self.forms = self.stems = Lexicon(blob_of(()), np.empty(0, np.uint32))
        self.stem_of = np.empty(0, np.uint32)
        self._form_numbers: dict[str, int] = {}
        self._stem_numbers: dict[str, int] = {}
        self._form_of_written = np.empty(0, np.uint32)
        self._written = 0
        self._offsets = np.zeros(_FIRST_ROOM + 1, np.uint64)
        self._bytes = np.empty(_FIRST_ROOM * 8, np.uint8)
        self._table = np.zeros(_FIRST_SLOTS * _SLOT, np.uint64)

    def analyse(self, texts: Blob) -> Tokens:
        """Return the form numbers of texts; forms not met before are added."""
        # A word takes a byte, and another separates it from the next one of its text.
        written = np.empty(len(texts.bytes) // 2 + len(texts) + 1, np.uint32)
        offsets = np.zeros(len(texts) + 1, np.int64)
        state = np.array([0, 0, 0, self._written], np.int64)
        while not _number_words(
            texts.offsets,
            texts.bytes,
            _classes(),
            _byte_classes(),
            state,
            self._table,
            self._offsets,
            self._bytes,
            written,
            offsets,
        ):
            self._grow()
        self._add_forms(int(state[3]))
        forms = written[: offsets[-1]]
        _translate(self._form_of_written, forms)
        return Tokens(forms, offsets)

    def _grow(self) -> None:
        self._offsets = np.concatenate([self._offsets, np.zeros(len(self._offsets) - 1, np.uint64)])
        self._bytes = np.concatenate([self._bytes, np.empty_like(self._bytes)])
        table = np.zeros(len(self._table) * 2, np.uint64)
        _rehash(self._table, table)
        self._table = table

    def _add_forms(self, written: int) -> None:
        text = self._bytes[: int(self._offsets[written])].tobytes()
        bounds = self._offsets[self._written : written + 1].tolist()
        forms, new = _numbered(
            self._form_numbers,
            (form_of(text[start:end].decode()) for start, end in pairwise(bounds)),
        )
        stems, new_stems = _numbered(self._stem_numbers, _stemmer().stemWords(new))
        self.forms, self.stems = self.forms.extended(new), self.stems.extended(new_stems)
        self._written = written
        self._form_of_written = np.concatenate([self._form_of_written, forms])
        self.stem_of = np.concatenate([self.stem_of, stems])


@cache
def _stemmer() -> Stemmer.Stemmer:
    import Stemmer

    return Stemmer.Stemmer("english", 0)


def _numbered(numbers: dict[str, int], texts: Iterable[str]) -> tuple[U32, list[str]]:
    """Return the numbers of texts, new ones for those that are new, and these."""
    known = len(numbers)
    found = [numbers.setdefault(text, len(numbers)) for text in texts]
    return np.array(found, np.uint32), list(islice(numbers, known, None))


def _appended(blob: Blob, more: Blob) -> Blob:
    return Blob(
        np.concatenate([blob.offsets, more.offsets[1:] + blob.offsets[-1]]),
        np.concatenate([blob.bytes, more.bytes]),
    )


@cache
def _classes() -> U8:
    """Return the class of each character: separator, letter, mark or word by itself."""
    classes = np.zeros(0x110000, np.uint8)
    for code in range(_LAST_CHARACTER):
        character = chr(code)
        if character.isalnum() or character == "_":
            classes[code] = _LETTER
        elif unicodedata.category(character)[0] == "M":
            classes[code] = _MARK
    for first, last in _SINGLE_SCRIPTS:
        part = classes[first:last]
        part[part == _LETTER] = _SINGLE
    classes[list(_MARKS)] = _MARK
    classes[0xE0100:0xE01F0] = _MARK  # variants of Han characters
    return classes


@cache
def _byte_classes() -> U8:
    """Return the class of each byte of UTF-8 if it is a character."""
    classes = _classes()[:256].copy()
    classes[_ASCII:] = _NOT_ASCII
    return classes


@inlined
def _decode(data: U8, at: Int) -> tuple[Int, Int]:
    """Return code point and length in bytes of the character that begins here."""
    first = np.int64(data[at])
    if first < _ASCII:
        return first, 1
    second = np.int64(data[at + 1]) & _REST
    if first < _THREE_BYTES:
        return (first & 0x1F) << 6 | second, 2
    third = np.int64(data[at + 2]) & _REST
    if first < _FOUR_BYTES:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    fourth = np.int64(data[at + 3]) & _REST
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4


@inlined
def _next_word(data: U8, at: Int, end: Int, classes: U8) -> tuple[Int, Int, Int]:
    """Return start, end, and end of the first 64 characters of the next word, or `end` thrice."""
    kind = _SEPARATOR
    width: Int = 1
    while at < end:
        code, width = _decode(data, at)
        kind = classes[code]
        if kind in (_LETTER, _SINGLE):
            break
        at += width
    start = at
    if at >= end:
        return end, end, end
    at += width
    length = 1
    cut = at
    while at < end:
        code, width = _decode(data, at)
        following = classes[code]
        if following != _MARK and (kind == _SINGLE or following != _LETTER):
            break
        at += width
        length += 1
        if length <= MAX_WORD_CHARACTERS:
            cut = at
    return start, at, cut


@kernel(INT(RU8, RU8, WI64, WI64, WI64))
def _find_words(data: U8, classes: U8, starts: I64, ends: I64, kept: I64) -> int:
    """Fill in start, end and end of the first 64 characters of each word; return how many."""
    at: Int = 0
    found = 0
    while True:
        start, at, cut = _next_word(data, at, len(data), classes)
        if start == len(data):
            return found
        starts[found], ends[found], kept[found] = start, at, cut
        found += 1


@inlined
def _key(data: U8, start: Int, end: Int) -> tuple[np.uint64, np.uint64]:
    """Return the bytes of a word of up to 16 bytes as two numbers, else its hash and `_LONG`."""
    low, high = np.uint64(0), np.uint64(0)
    if end - start > 2 * _KEY_BYTES:
        low = _FNV_OFFSET
        for i in range(start, end):
            low = (low ^ np.uint64(data[i])) * _FNV_PRIME
        return low, _LONG
    middle = min(start + _KEY_BYTES, end)
    for i in range(start, middle):
        low = low << np.uint64(8) | np.uint64(data[i])
    for i in range(middle, end):
        high = high << np.uint64(8) | np.uint64(data[i])
    return low, high


@inlined
def _spread(low: np.uint64, high: np.uint64) -> np.uint64:
    mixed = (low ^ (high * _MIX)) * _MULTIPLY
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    return mixed ^ (mixed >> np.uint64(29))


@inlined
def _is_text(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    offsets: U64, texts: U8, index: Int, data: U8, start: Int, end: Int
) -> int:
    begin = np.int64(offsets[index])
    if np.int64(offsets[index + 1]) - begin != end - start:
        return 0
    for i in range(end - start):
        if texts[begin + i] != data[start + i]:
            return 0
    return 1


@inlined
def _next_key(
    data: U8, at: Int, end: Int, classes: U8, byte_classes: U8
) -> tuple[Int, Int, Int, np.uint64, np.uint64]:
    """Return the next word as `_next_word` does, and its key.

    Nearly all words are ASCII and have up to 16 letters: their key is made as they are read.
    """
    low, high = np.uint64(0), np.uint64(0)
    while at < end and byte_classes[data[at]] == _SEPARATOR:
        at += 1
    start = at
    middle = min(start + _KEY_BYTES, end)
    while at < middle and byte_classes[data[at]] == _LETTER:
        low = low << np.uint64(8) | np.uint64(data[at])
        at += 1
    if at == middle:
        last = min(middle + _KEY_BYTES, end)
        while at < last and byte_classes[data[at]] == _LETTER:
            high = high << np.uint64(8) | np.uint64(data[at])
            at += 1
    if at == end or byte_classes[data[at]] == _SEPARATOR:
        return start, at, at, low, high
    start, stop, cut = _next_word(data, start, end, classes)
    low, high = _key(data, start, cut)
    return start, stop, cut, low, high


@kernel(INT(RU64, RU8, RU8, RU8, WI64, WU64, WU64, WU8, WU32, WI64))
def _number_words(  # noqa: C901, PLR0913, PLR0917 - compiled code knows no objects
    offsets: U64,
    data: U8,
    classes: U8,
    byte_classes: U8,
    state: I64,
    table: U64,
    known_offsets: U64,
    known_bytes: U8,
    out: U32,
    out_offsets: I64,
) -> int:
    """Give the words of texts numbers; return 0 where there is no room for a new one, 1 at the end.

    `state` is where to go on: text, byte, words so far, different words so far. Four numbers are
    a slot of the table: the two of the key, and the word's number plus 1.
    """
    mask = np.uint64(len(table) // _SLOT - 1)
    text, at, count, known = state[0], state[1], state[2], state[3]
    while text < len(offsets) - 1:
        end = np.int64(offsets[text + 1])
        while True:
            start, stop, cut, low, high = _next_key(data, at, end, classes, byte_classes)
            if start == end:
                break
            place = _spread(low, high) & mask
            while True:
                slot = np.int64(place) * _SLOT
                number = np.int64(table[slot + 2]) - 1
                if number < 0:
                    break
                if table[slot] == low and table[slot + 1] == high:
                    if high != _LONG:
                        break
                    if _is_text(known_offsets, known_bytes, number, data, start, cut) != 0:
                        break
                place = (place + np.uint64(1)) & mask
            if number < 0:
                begin = np.int64(known_offsets[known])
                size = cut - start
                if known == len(known_offsets) - 1 or begin + size > len(known_bytes):
                    state[0], state[1], state[2], state[3] = text, at, count, known
                    return 0
                for i in range(size):
                    known_bytes[begin + i] = data[start + i]
                known_offsets[known + 1] = begin + size
                table[slot], table[slot + 1] = low, high
                table[slot + 2] = known + 1
                number = known
                known += 1
            out[count] = number
            count += 1
            at = stop
        text += 1
        at = end
        out_offsets[text] = count
    state[0], state[1], state[2], state[3] = text, at, count, known
    return 1


@kernel(VOID(RU32, WU32))
def _translate(form_of_written: U32, words: U32) -> None:
    for i in range(len(words)):
        words[i] = form_of_written[words[i]]


@kernel(VOID(RU64, WU64))
def _rehash(old: U64, new: U64) -> None:
    mask = np.uint64(len(new) // _SLOT - 1)
    for slot in range(0, len(old), _SLOT):
        if old[slot + 2] != 0:
            place = _spread(old[slot], old[slot + 1]) & mask
            while new[np.int64(place) * _SLOT + 2] != 0:
                place = (place + np.uint64(1)) & mask
            for i in range(_SLOT):
                new[np.int64(place) * _SLOT + i] = old[slot + i]
