"""From documents to the arrays of a new segment, in memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, Generic, TypeVar

import numpy as np

from lib.search.analysis import Lexicon, Tokens, Vocabulary
from lib.search.blobs import blob_of, chosen_texts, hash_ids, offsets_of
from lib.search.compiled import (
    I64,
    INT,
    RI64,
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
    kernel,
)
from lib.search.files import Array, Arrays
from lib.search.model import Access, AttributeType, Document, Value
from lib.search.segment import (
    Blob,
    Column,
    ListColumn,
    NumberColumn,
    Postings,
    Segment,
    StringColumn,
    Words,
    microseconds,
)

TITLE_GAP = 100  # between the positions of a title's words and those of the text
_TEXTS = (AttributeType.STRING, AttributeType.STRING_LIST)
_PLAIN = {str: AttributeType.STRING, datetime: AttributeType.DATE}  # any value of theirs will do
_FREQUENCY_CAP = 255
_NO_DOCUMENT = 1 << 32

_Key = TypeVar("_Key", bound=Hashable)


class Numbering(Generic[_Key]):
    """Different values, numbered from 1 in the order in which they came."""

    def __init__(self, values: Iterable[_Key] = ()) -> None:
        self._numbers = {value: number for number, value in enumerate(values, 1)}

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, values: Sequence[_Key]) -> list[int]:
        """Return the numbers of values, new ones for those that are new."""
        known = self._numbers
        for value in dict.fromkeys(values):
            known.setdefault(value, len(known) + 1)
        return [known[value] for value in values]

    def after(self, number: int) -> list[_Key]:
        """Return the values numbered above `number`, in order."""
        return list(islice(self._numbers, number, None))


class Schema:
    """The types of an index's attributes, the values of its texts, and its access lists.

    `types`, `values` and `access` only ever grow. One thread may look for problems while another
    builds segments of documents that have none.
    """

    def __init__(
        self,
        types: Mapping[str, AttributeType],
        values: Mapping[str, Iterable[str]],
        access: Iterable[Access],
    ) -> None:
        self.types = dict(types)
        self.values = {name: Numbering(each) for name, each in values.items()}
        self.access = Numbering(access)

    def problems(self, document: Document) -> list[tuple[str, str]]:
        """Return the attributes of a document that do not fit, each with a sentence why.

        A name met for the first time takes the type of its value.
        """
        return [
            (name, problem)
            for name, value in document.attributes.items()
            if self.types.get(name) is not _PLAIN.get(type(value), name)
            and (problem := self._problem(document.id, name, value))
        ]

    def code_type(self, name: str) -> np.dtype[Any]:
        """Return the narrowest type that holds all codes of an attribute."""
        return np.min_scalar_type(len(self.values[name]))

    def access_type(self) -> np.dtype[Any]:
        """Return the narrowest type that holds all codes of access lists."""
        return np.min_scalar_type(len(self.access))

    def _problem(self, document: str, name: str, value: Value) -> str:
        found = _type_of(value)
        if found is None:
            return (
                f"Document {document}: attribute {name} was left out, because its value is no "
                "text, list of texts, whole number of 64 bits, or date."
            )
        known = self.types.get(name)
        if known is None:
            self.types[name] = known = found
            if found in _TEXTS:
                self.values[name] = Numbering()
        if known is found:
            return ""
        return (
            f"Document {document}: attribute {name} was left out, because its value is a "
            f"{found}, and in the documents before it is a {known}."
        )


@dataclass(frozen=True)
class Analysed:
    """Titles and texts of documents, and their words as the vocabulary numbers them."""

    titles: Blob
    texts: Blob
    title_words: Tokens
    text_words: Tokens
    forms: Lexicon
    stems: Lexicon
    stem_of: U32


def analyse(documents: Sequence[Document], vocabulary: Vocabulary) -> Analysed:
    """Return the words of documents; new forms are added to the vocabulary."""
    titles = blob_of(document.title for document in documents)
    texts = blob_of(document.text for document in documents)
    words = vocabulary.analyse(titles), vocabulary.analyse(texts)
    return Analysed(titles, texts, *words, vocabulary.forms, vocabulary.stems, vocabulary.stem_of)


def build_segment(documents: Sequence[Document], analysed: Analysed, schema: Schema) -> Arrays:
    """Return the arrays of a segment of documents with different ids, named as in its file.

    New values are added to the schema.
    """
    ids = blob_of(document.id for document in documents)
    hashes, holders = hash_ids(ids)
    return {
        **_words(analysed),
        "live": np.ones(len(documents), np.uint8),
        **_columns(documents, schema),
        "access": _access(documents, schema),
        "id_hashes": hashes,
        "id_documents": holders,
        **_blob("ids", ids),
        **_blob("titles", analysed.titles),
        **_blob("texts", analysed.texts),
        **_blob("uris", blob_of(document.uri for document in documents)),
    }


def segment_of(arrays: Arrays, live: U8 | None = None) -> Segment:
    """Return the segment of named arrays, with another `live` if there is one."""
    return Segment(
        count=len(arrays["live"]),
        words=Words(
            forms=_blob_of(arrays, "forms"),
            form_postings=_postings_of(arrays, "form_postings"),
            stems=_blob_of(arrays, "stems"),
            stem_postings=_postings_of(arrays, "stem_postings"),
            stem_of=arrays["stem_of"],
        ),
        lengths=arrays["lengths"],
        live=arrays["live"] if live is None else live,
        columns=_columns_of(arrays),
        access=arrays["access"],
        ids=_blob_of(arrays, "ids"),
        id_hashes=arrays["id_hashes"],
        id_documents=arrays["id_documents"],
        titles=_blob_of(arrays, "titles"),
        texts=_blob_of(arrays, "texts"),
        uris=_blob_of(arrays, "uris"),
    )


def _words(analysed: Analysed) -> Arrays:
    titles, texts = analysed.title_words, analysed.text_words
    counts = np.zeros(len(analysed.forms), np.int64)
    _count_forms(titles.forms, counts)
    _count_forms(texts.forms, counts)
    order = analysed.forms.order
    forms = order[counts[order] > 0]
    bounds = offsets_of(counts[forms])
    counts[forms] = bounds[:-1]
    entries = np.empty(int(bounds[-1]), np.uint64)
    _sort_by_form(titles.forms, titles.offsets, texts.forms, texts.offsets, counts, entries)
    postings = _form_postings(entries, bounds)
    stem_of, stems = _renumbered(analysed.stem_of[forms], analysed.stems.order)
    return {
        **_blob("forms", chosen_texts(analysed.forms.texts, forms)),
        **_blob("stems", chosen_texts(analysed.stems.texts, stems)),
        "stem_of": stem_of,
        **_postings("form_postings", postings),
        **_postings("stem_postings", _stem_postings(postings, stem_of, len(stems))),
        "lengths": (np.diff(titles.offsets) + np.diff(texts.offsets)).astype(np.uint32),
    }


def _renumbered(numbers: U32, order: U32) -> tuple[U32, U32]:
    """Return the numbers as places among those that occur, and these in the order given."""
    occurs = np.zeros(len(order), np.bool_)
    occurs[numbers] = True
    chosen = order[occurs[order]]
    places = np.zeros(len(order), np.uint32)
    places[chosen] = np.arange(len(chosen), dtype=np.uint32)
    return places[numbers], chosen


def _form_postings(entries: U64, bounds: U64) -> Postings:
    offsets = np.zeros(len(bounds), np.uint64)
    documents = np.empty(len(entries), np.uint32)
    frequencies = np.empty(len(entries), np.uint8)
    places = np.empty(len(entries), np.uint32)
    positions = np.empty(len(entries) + len(entries) // 2, np.uint32)  # a count for two or more
    used = _group_by_document(entries, bounds, offsets, documents, frequencies, places, positions)
    count = int(offsets[-1])
    return Postings(
        offsets, documents[:count], frequencies[:count], places[:count], positions[:used]
    )


def _stem_postings(forms: Postings, stem_of: U32, stems: int) -> Postings:
    order = np.argsort(stem_of, kind="stable")
    members = offsets_of(np.bincount(stem_of, minlength=stems))
    offsets = np.zeros(stems + 1, np.uint64)
    documents = np.empty(len(forms.documents), np.uint32)
    frequencies = np.empty(len(documents), np.uint8)
    heads = np.empty(len(order), np.int64)
    _join_forms(
        order,
        members,
        forms.offsets,
        forms.documents,
        forms.frequencies,
        heads,
        offsets,
        documents,
        frequencies,
    )
    count = int(offsets[-1])
    nothing = np.empty(0, np.uint32)
    return Postings(offsets, documents[:count], frequencies[:count], nothing, nothing)


def _columns(documents: Sequence[Document], schema: Schema) -> dict[str, Array]:
    held = [document.attributes for document in documents]
    arrays: dict[str, Array] = {}
    for name in dict.fromkeys(name for attributes in held for name in attributes):
        arrays |= _column(name, [attributes.get(name) for attributes in held], schema)
    return arrays


def _column(name: str, values: list[Any], schema: Schema) -> dict[str, Array]:
    kind = schema.types[name]
    present = np.array([value is not None for value in values], np.uint8)
    found = [value for value in values if value is not None]
    holders = np.flatnonzero(present)
    if kind is AttributeType.STRING:
        numbers = schema.values[name].numbers(found)
        column = np.zeros(len(values), schema.code_type(name))
        column[holders] = numbers
        return {f"codes:{name}": column}
    if kind is AttributeType.STRING_LIST:
        lists = [tuple(dict.fromkeys(elements)) for elements in found]
        numbers = schema.values[name].numbers(list(chain.from_iterable(lists)))
        lengths = np.zeros(len(values), np.int64)
        lengths[holders] = [len(elements) for elements in lists]
        elements = np.array(numbers, schema.code_type(name))
        return {f"list_offsets:{name}": offsets_of(lengths), f"list_codes:{name}": elements}
    if kind is AttributeType.DATE:
        found = [microseconds(date) for date in found]
    column = np.zeros(len(values), np.int64)
    column[holders] = found
    return {f"numbers:{name}": column, f"present:{name}": present}


def _access(documents: Sequence[Document], schema: Schema) -> Array:
    open_to_all = Access()
    lists = [document.access for document in documents]
    limited = [number for number, access in enumerate(lists) if access != open_to_all]
    numbers = schema.access.numbers([lists[number] for number in limited])
    codes = np.zeros(len(documents), schema.access_type())
    codes[limited] = numbers
    return codes


def _type_of(value: object) -> AttributeType | None:
    if isinstance(value, str):
        return AttributeType.STRING
    if isinstance(value, tuple) and all(isinstance(element, str) for element in value):
        return AttributeType.STRING_LIST
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return AttributeType.LONG
    return AttributeType.DATE if isinstance(value, datetime) else None


def _blob(name: str, blob: Blob) -> dict[str, Array]:
    return {f"{name}.offsets": blob.offsets, f"{name}.bytes": blob.bytes}


def _postings(name: str, postings: Postings) -> dict[str, Array]:
    return {
        f"{name}.offsets": postings.offsets,
        f"{name}.documents": postings.documents,
        f"{name}.frequencies": postings.frequencies,
        f"{name}.places": postings.places,
        f"{name}.positions": postings.positions,
    }


def _blob_of(arrays: Arrays, name: str) -> Blob:
    return Blob(arrays[f"{name}.offsets"], arrays[f"{name}.bytes"])


def _postings_of(arrays: Arrays, name: str) -> Postings:
    return Postings(
        arrays[f"{name}.offsets"],
        arrays[f"{name}.documents"],
        arrays[f"{name}.frequencies"],
        arrays[f"{name}.places"],
        arrays[f"{name}.positions"],
    )


def _columns_of(arrays: Arrays) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for key, array in arrays.items():
        kind, _, name = key.partition(":")
        if kind == "codes":
            columns[name] = StringColumn(array)
        elif kind == "list_codes":
            columns[name] = ListColumn(arrays[f"list_offsets:{name}"], array)
        elif kind == "numbers":
            columns[name] = NumberColumn(array, arrays[f"present:{name}"])
    return columns


@kernel(VOID(RU32, WI64))
def _count_forms(tokens: U32, counts: I64) -> None:
    for form in tokens:
        counts[form] += 1


@kernel(VOID(RU32, RI64, RU32, RI64, WI64, WU64))
def _sort_by_form(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    titles: U32, title_offsets: I64, texts: U32, text_offsets: I64, cursors: I64, entries: U64
) -> None:
    """Fill in document << 32 | position of each token, at the cursor of its form."""
    for document in range(len(title_offsets) - 1):
        entry = np.uint64(document) << np.uint64(32)
        for token in range(title_offsets[document], title_offsets[document + 1]):
            form = titles[token]
            entries[cursors[form]] = entry
            cursors[form] += 1
            entry += np.uint64(1)
        entry += np.uint64(TITLE_GAP)
        for token in range(text_offsets[document], text_offsets[document + 1]):
            form = texts[token]
            entries[cursors[form]] = entry
            cursors[form] += 1
            entry += np.uint64(1)


@kernel(INT(RU64, RU64, WU64, WU32, WU8, WU32, WU32))
def _group_by_document(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    entries: U64,
    bounds: U64,
    offsets: U64,
    documents: U32,
    frequencies: U8,
    places: U32,
    positions: U32,
) -> int:
    """Fill in the postings of sorted entries and return the size of `positions`.

    Form w owns `entries[bounds[w]:bounds[w + 1]]`.
    """
    posting, used = 0, 0
    for form in range(len(bounds) - 1):
        start, end = np.int64(bounds[form]), np.int64(bounds[form + 1])
        while start < end:
            document = entries[start] >> np.uint64(32)
            stop = start + 1
            while stop < end and entries[stop] >> np.uint64(32) == document:
                stop += 1
            documents[posting] = document
            times = stop - start
            frequencies[posting] = min(times, np.int64(_FREQUENCY_CAP))
            if times == 1:
                places[posting] = np.uint32(entries[start])
            else:
                places[posting] = used
                positions[used] = times
                for entry in range(start, stop):
                    used += 1
                    positions[used] = np.uint32(entries[entry])
                used += 1
            posting += 1
            start = stop
        offsets[form + 1] = posting
    return used


@kernel(VOID(RI64, RU64, RU64, RU32, RU8, WI64, WU64, WU32, WU8))
def _join_forms(  # noqa: C901, PLR0913, PLR0917 - compiled code knows no objects
    order: I64,
    members: U64,
    offsets: U64,
    documents: U32,
    frequencies: U8,
    heads: I64,
    out_offsets: U64,
    out_documents: U32,
    out_frequencies: U8,
) -> None:
    """Fill in the postings of stems; stem s joins forms `order[members[s]:members[s + 1]]`.

    `heads` is room for one number a form.
    """
    count = 0
    for stem in range(len(members) - 1):
        first, last = np.int64(members[stem]), np.int64(members[stem + 1])
        if last - first == 1:
            form = order[first]
            for posting in range(np.int64(offsets[form]), np.int64(offsets[form + 1])):
                out_documents[count] = documents[posting]
                out_frequencies[count] = frequencies[posting]
                count += 1
            out_offsets[stem + 1] = count
            continue
        for member in range(first, last):
            heads[member] = offsets[order[member]]
        while True:
            least = np.int64(_NO_DOCUMENT)
            for member in range(first, last):
                if heads[member] < np.int64(offsets[order[member] + 1]):
                    least = min(least, np.int64(documents[heads[member]]))
            if least == _NO_DOCUMENT:
                break
            total = 0
            for member in range(first, last):
                head = heads[member]
                if head < np.int64(offsets[order[member] + 1]) and documents[head] == least:
                    total += frequencies[head]
                    heads[member] = head + 1
            out_documents[count] = least
            out_frequencies[count] = min(total, _FREQUENCY_CAP)
            count += 1
        out_offsets[stem + 1] = count
