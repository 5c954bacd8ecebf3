"""From documents to the arrays of a new segment, in memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, Generic, TypeVar

import numpy as np

from lib.search.analysis import Vocabulary, blob_of, encoded, joined
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
)

TITLE_GAP = 100  # between the positions of a title's words and those of the text
_TEXTS = (AttributeType.STRING, AttributeType.STRING_LIST)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FREQUENCY_CAP = 255
_NO_DOCUMENT = 1 << 32
_HASH_OFFSET = np.uint64(0xCBF29CE484222325)
_HASH_PRIME = np.uint64(0x100000001B3)
_HASH_MIX = np.uint64(0x9E3779B97F4A7C15)


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

    `types`, `values` and `access` only ever grow.
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
            if (problem := self._problem(document.id, name, value))
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


def build_segment(
    documents: Sequence[Document], schema: Schema, vocabulary: Vocabulary
) -> dict[str, Array]:
    """Return the arrays of a segment of documents with different ids, named as in its file.

    New values are added to the schema, new forms to the vocabulary.
    """
    titles = [encoded(document.title) for document in documents]
    texts = [encoded(document.text) for document in documents]
    ids = blob_of(document.id for document in documents)
    hashes, holders = hash_ids(ids)
    return {
        **_words(titles, texts, vocabulary),
        "live": np.ones(len(documents), np.uint8),
        **_columns(documents, schema),
        "access": _access(documents, schema),
        "id_hashes": hashes,
        "id_documents": holders,
        **_blob("ids", ids),
        **_blob("titles", joined(titles)),
        **_blob("texts", joined(texts)),
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
        titles=_blob_of(arrays, "titles"),
        texts=_blob_of(arrays, "texts"),
        uris=_blob_of(arrays, "uris"),
    )


def hash_ids(ids: Blob) -> tuple[U64, U32]:
    """Return the hashes of ids in ascending order, and the number of the document of each."""
    hashes = np.empty(len(ids), np.uint64)
    _hash_texts(ids.offsets, ids.bytes, hashes)
    order = np.argsort(hashes, kind="stable")
    return hashes[order], order.astype(np.uint32)


def _words(titles: list[bytes], texts: list[bytes], vocabulary: Vocabulary) -> dict[str, Array]:
    # Title and text of a document are neighbours, so its words are as well.
    both = joined([text for pair in zip(titles, texts, strict=True) for text in pair])
    tokens = vocabulary.analyse(both)
    starts = tokens.offsets[::2].copy()
    counts = np.bincount(tokens.forms, minlength=len(vocabulary.forms))
    forms = vocabulary.sorted_forms()
    forms = forms[counts[forms] > 0]
    places = _offsets(counts[forms])
    cursors = np.zeros(len(counts), np.int64)
    cursors[forms] = places[:-1]
    entries = np.empty(len(tokens.forms), np.uint64)
    _sort_by_form(tokens.forms, starts, tokens.offsets[1::2].copy(), cursors, entries)
    postings = _form_postings(entries, places)
    stem_of, stems = _renumbered(vocabulary.stem_of[forms], vocabulary.sorted_stems())
    stem_postings = _stem_postings(postings, stem_of, len(stems))
    return {
        **_blob("forms", blob_of(vocabulary.forms[form] for form in forms.tolist())),
        **_blob("stems", blob_of(vocabulary.stems[stem] for stem in stems.tolist())),
        "stem_of": stem_of,
        **_postings("form_postings", postings),
        **_postings("stem_postings", stem_postings),
        "lengths": np.diff(starts).astype(np.uint32),
    }


def _renumbered(numbers: U32, order: U32) -> tuple[U32, U32]:
    """Return the numbers as places among those that occur, and these in the order given."""
    occurs = np.zeros(len(order), np.bool_)
    occurs[numbers] = True
    chosen = order[occurs[order]]
    places = np.zeros(len(order), np.uint32)
    places[chosen] = np.arange(len(chosen), dtype=np.uint32)
    return places[numbers], chosen


def _form_postings(entries: U64, places: U64) -> Postings:
    offsets = np.zeros(len(places), np.uint64)
    documents = np.empty(len(entries), np.uint32)
    frequencies = np.empty(len(entries), np.uint8)
    position_offsets = np.empty(len(entries) + 1, np.uint64)
    positions = (entries & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    _group_by_document(entries, places, offsets, documents, frequencies, position_offsets)
    count = int(offsets[-1])
    return Postings(
        offsets, documents[:count], frequencies[:count], position_offsets[: count + 1], positions
    )


def _stem_postings(forms: Postings, stem_of: U32, stems: int) -> Postings:
    order = np.argsort(stem_of, kind="stable")
    members = _offsets(np.bincount(stem_of, minlength=stems))
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
    nothing = np.empty(0, np.uint64)
    return Postings(
        offsets, documents[:count], frequencies[:count], nothing, nothing.astype(np.uint32)
    )


def _offsets(counts: I64) -> U64:
    offsets = np.zeros(len(counts) + 1, np.uint64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


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
        return {f"list_offsets:{name}": _offsets(lengths), f"list_codes:{name}": elements}
    if kind is AttributeType.DATE:
        found = [microseconds(date) for date in found]
    column = np.zeros(len(values), np.int64)
    column[holders] = found
    return {f"numbers:{name}": column, f"present:{name}": present}


def microseconds(date: datetime) -> int:
    """Return a date as microseconds since 1970 in UTC; one without a zone is taken as UTC."""
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


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
        f"{name}.position_offsets": postings.position_offsets,
        f"{name}.positions": postings.positions,
    }


def _blob_of(arrays: Arrays, name: str) -> Blob:
    return Blob(arrays[f"{name}.offsets"], arrays[f"{name}.bytes"])


def _postings_of(arrays: Arrays, name: str) -> Postings:
    return Postings(
        arrays[f"{name}.offsets"],
        arrays[f"{name}.documents"],
        arrays[f"{name}.frequencies"],
        arrays[f"{name}.position_offsets"],
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


@kernel(VOID(RU32, RI64, RI64, WI64, WU64))
def _sort_by_form(tokens: U32, starts: I64, text_starts: I64, cursors: I64, entries: U64) -> None:
    """Fill in document << 32 | position of each token, at the cursor of its form."""
    for document in range(len(text_starts)):
        first, text = starts[document], text_starts[document]
        entry = np.uint64(document) << np.uint64(32)
        for token in range(first, starts[document + 1]):
            form = tokens[token]
            place = cursors[form]
            cursors[form] = place + 1
            gap = TITLE_GAP if token >= text else 0
            entries[place] = entry | np.uint64(token - first + gap)


@kernel(VOID(RU64, RU64, WU64, WU32, WU8, WU64))
def _group_by_document(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    entries: U64,
    places: U64,
    offsets: U64,
    documents: U32,
    frequencies: U8,
    position_offsets: U64,
) -> None:
    """Fill in the postings of sorted entries; form w owns `entries[places[w]:places[w + 1]]`."""
    count = 0
    for form in range(len(places) - 1):
        last = np.int64(-1)
        for place in range(np.int64(places[form]), np.int64(places[form + 1])):
            document = np.int64(entries[place] >> np.uint64(32))
            if document != last:
                last = document
                documents[count] = document
                frequencies[count] = 1
                position_offsets[count] = place
                count += 1
            elif frequencies[count - 1] < _FREQUENCY_CAP:
                frequencies[count - 1] += 1
        offsets[form + 1] = count
    position_offsets[count] = len(entries)


@kernel(VOID(RI64, RU64, RU64, RU32, RU8, WI64, WU64, WU32, WU8))
def _join_forms(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
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


@kernel(VOID(RU64, RU8, WU64))
def _hash_texts(offsets: U64, texts: U8, hashes: U64) -> None:
    for text in range(len(hashes)):
        spread = _HASH_OFFSET
        for i in range(np.int64(offsets[text]), np.int64(offsets[text + 1])):
            spread = (spread ^ np.uint64(texts[i])) * _HASH_PRIME
        hashes[text] = (spread ^ (spread >> np.uint64(32))) * _HASH_MIX


@kernel(INT(RU64, RU32, RU64, RU8, RU64, RU32, RU64, RU8, WU8))
def mark_dead(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    wanted_hashes: U64,
    wanted_documents: U32,
    wanted_offsets: U64,
    wanted_bytes: U8,
    hashes: U64,
    documents: U32,
    offsets: U64,
    texts: U8,
    live: U8,
) -> int:
    """Clear `live` of the documents with one of the wanted ids; return how many were live.

    Both sides are hashes in ascending order, the document of each, and the ids.
    """
    dead, low = 0, 0
    for i in range(len(wanted_hashes)):
        wanted = wanted_hashes[i]
        high = len(hashes)
        while low < high:
            middle = (low + high) >> 1
            if hashes[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        start = np.int64(wanted_offsets[wanted_documents[i]])
        size = np.int64(wanted_offsets[wanted_documents[i] + 1]) - start
        place = low
        while place < len(hashes) and hashes[place] == wanted:
            document = documents[place]
            begin = np.int64(offsets[document])
            same = np.int64(offsets[document + 1]) - begin == size
            letter = 0
            while same and letter < size:
                same = texts[begin + letter] == wanted_bytes[start + letter]
                letter += 1
            if same and live[document] != 0:
                live[document] = 0
                dead += 1
            place += 1
    return dead
