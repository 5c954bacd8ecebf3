from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.search.blobs import blob_of, chosen_texts, find_places, hash_ids

TEXTS = st.lists(st.text("aAbé日\ud800", max_size=12), max_size=20)


def texts_in(texts: list[str]) -> list[bytes]:
    return [text.encode("utf-8", "replace") for text in texts]


@given(TEXTS, st.data())
def test_texts_are_chosen_in_any_order(texts: list[str], data: st.DataObject) -> None:
    places = st.integers(0, max(len(texts) - 1, 0))
    chosen = data.draw(st.lists(places, max_size=30)) if texts else []
    found = chosen_texts(blob_of(texts), np.array(chosen, np.uint32))
    assert texts_in([found.text(i) for i in range(len(found))]) == [
        texts_in(texts)[i] for i in chosen
    ]


@given(TEXTS)
def test_places_are_those_of_the_order_of_bytes(texts: list[str]) -> None:
    pieces, half = texts_in(texts), len(texts) // 2
    order = sorted(range(half), key=pieces.__getitem__)
    wanted = sorted(range(half, len(texts)), key=pieces.__getitem__)
    places = np.empty(len(wanted), np.int64)
    blob = blob_of(texts)
    sort = np.array(order, np.uint32), np.array(wanted, np.uint32)
    find_places(blob.offsets, blob.bytes, *sort, places)
    every = np.insert(sort[0], places, sort[1]).tolist()
    assert [pieces[i] for i in every] == sorted(pieces)


@given(st.lists(st.text(max_size=8), unique=True, max_size=20))
def test_hashes_ascend_and_name_their_documents(texts: list[str]) -> None:
    hashes, holders = hash_ids(blob_of(texts))
    assert hashes.tolist() == sorted(hashes.tolist())
    assert sorted(holders.tolist()) == list(range(len(texts)))
    for value, holder in zip(hashes.tolist(), holders.tolist(), strict=True):
        assert hash_ids(blob_of([texts[holder]]))[0].tolist() == [value]
