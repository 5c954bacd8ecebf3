"""A slow and simple builder of indexes in memory, from documents to the arrays of segments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from lib.search.analysis import stem, words_of
from lib.search.blobs import blob_of, hash_ids
from lib.search.model import Access, Attribute, AttributeType, Document, Value
from lib.search.segment import (
    Column,
    Dictionary,
    ListColumn,
    NumberColumn,
    Postings,
    Segment,
    StringColumn,
    Words,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TITLE_GAP = 100


@dataclass(frozen=True)
class MemoryIndex:
    segments: tuple[Segment, ...]
    dictionaries: Mapping[str, Dictionary]
    attributes: tuple[Attribute, ...]
    access_lists: tuple[Access, ...]
    version: int = 1

    def refresh(self) -> MemoryIndex:
        return self


def index_of(
    documents: Sequence[Document],
    types: Mapping[str, AttributeType] | None = None,
    cuts: Iterable[int] = (),
    deleted: Iterable[str] = (),
) -> MemoryIndex:
    """Build an index whose segments end at the cuts; `types` for attributes beyond the usual."""
    kinds = {**_types(documents), **(types or {})}
    texts = {
        name: _texts(documents, name)
        for name, kind in kinds.items()
        if kind in (AttributeType.STRING, AttributeType.STRING_LIST)
    }
    access = list(dict.fromkeys(d.access for d in documents if d.access != Access()))
    bounds = [0, *sorted(cuts), len(documents)]
    dead = set(deleted)
    segments = tuple(
        _segment(documents[start:end], kinds, texts, access, dead)
        for start, end in pairwise(bounds)
    )
    return MemoryIndex(
        segments,
        {name: Dictionary(tuple(values)) for name, values in texts.items()},
        tuple(Attribute(name, kind, len(texts.get(name, ()))) for name, kind in kinds.items()),
        tuple(access),
    )


def _types(documents: Sequence[Document]) -> dict[str, AttributeType]:
    return {
        name: _type(value) for document in documents for name, value in document.attributes.items()
    }


def _type(value: Value) -> AttributeType:
    match value:
        case str():
            return AttributeType.STRING
        case tuple():
            return AttributeType.STRING_LIST
        case int():
            return AttributeType.LONG
        case datetime():
            return AttributeType.DATE


def _texts(documents: Sequence[Document], name: str) -> list[str]:
    found: dict[str, None] = {}
    for document in documents:
        value = document.attributes.get(name, ())
        assert isinstance(value, (str, tuple))
        found.update(dict.fromkeys((value,) if isinstance(value, str) else value))
    return list(found)


def _segment(
    documents: Sequence[Document],
    kinds: Mapping[str, AttributeType],
    texts: Mapping[str, list[str]],
    access: list[Access],
    dead: set[str],
) -> Segment:
    positions: dict[str, dict[int, list[int]]] = {}
    lengths = []
    for number, document in enumerate(documents):
        title, text = words_of(document.title), words_of(document.text)
        lengths.append(len(title) + len(text))
        for place, (form, _, _) in enumerate(title):
            positions.setdefault(form, {}).setdefault(number, []).append(place)
        for place, (form, _, _) in enumerate(text, len(title) + TITLE_GAP):
            positions.setdefault(form, {}).setdefault(number, []).append(place)
    forms = sorted(positions, key=str.encode)
    stems = sorted({stem(form) for form in forms}, key=str.encode)
    of_stems: dict[str, dict[int, list[int]]] = {each: {} for each in stems}
    for form, documents_of_form in positions.items():
        for number, places in documents_of_form.items():
            of_stems[stem(form)].setdefault(number, []).extend(places)
    ids = blob_of(document.id for document in documents)
    hashes, holders = hash_ids(ids)
    return Segment(
        count=len(documents),
        words=Words(
            forms=blob_of(forms),
            form_postings=_postings([positions[form] for form in forms], positions=True),
            stems=blob_of(stems),
            stem_postings=_postings([of_stems[each] for each in stems], positions=False),
            stem_of=np.array([stems.index(stem(form)) for form in forms], np.uint32),
        ),
        lengths=np.array(lengths, np.uint32),
        live=np.array([document.id not in dead for document in documents], np.uint8),
        columns={
            name: _column(documents, name, kind, texts.get(name, []))
            for name, kind in kinds.items()
        },
        access=np.array(
            [0 if d.access == Access() else access.index(d.access) + 1 for d in documents], np.uint8
        ),
        ids=ids,
        id_hashes=hashes,
        id_documents=holders,
        titles=blob_of(document.title for document in documents),
        texts=blob_of(document.text for document in documents),
        uris=blob_of(document.uri for document in documents),
    )


def _postings(words: list[dict[int, list[int]]], *, positions: bool) -> Postings:
    entries = [sorted(word.items()) for word in words]
    flat = [places for word in entries for _, places in word]
    where, several = list[int](), list[int]()
    for places in flat:
        where.append(places[0] if len(places) == 1 else len(several))
        several += [len(places), *places] if len(places) > 1 else []
    return Postings(
        offsets=np.cumsum([0, *map(len, entries)]).astype(np.uint64),
        documents=np.array([number for word in entries for number, _ in word], np.uint32),
        frequencies=np.array([min(len(places), 255) for places in flat], np.uint8),
        places=np.array(where if positions else [], np.uint32),
        positions=np.array(several if positions else [], np.uint32),
    )


def _column(
    documents: Sequence[Document], name: str, kind: AttributeType, values: list[str]
) -> Column:
    held = [document.attributes.get(name) for document in documents]
    width = np.min_scalar_type(len(values))
    if kind is AttributeType.STRING:
        codes = [values.index(value) + 1 if isinstance(value, str) else 0 for value in held]
        return StringColumn(np.array(codes, width))
    if kind is AttributeType.STRING_LIST:
        lists = [tuple(dict.fromkeys(v)) if isinstance(v, tuple) else () for v in held]
        return ListColumn(
            np.cumsum([0, *map(len, lists)]).astype(np.uint64),
            np.array([values.index(value) + 1 for items in lists for value in items], width),
        )
    numbers = np.zeros(len(held), np.int64)
    for place, value in enumerate(held):
        with contextlib.suppress(TypeError):
            numbers[place] = _number(value)
    return NumberColumn(numbers, np.array([value is not None for value in held], np.uint8))


def _number(value: Value | None) -> int:
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, int):
        return value
    raise TypeError
