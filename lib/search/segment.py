"""A segment: an immutable part of the index as memory-mapped columns.

Documents are numbered 0 to count-1 within a segment. Attribute values are numbered for the whole
index (`Dictionary`), so counts of several segments add up without translation; words are numbered
within a segment. Code 0 of a column means that the document has no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Blob:
    """Texts one after another in UTF-8: text i is `bytes[offsets[i]:offsets[i + 1]]`."""

    offsets: npt.NDArray[np.uint64]
    bytes: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def text(self, index: int) -> str:
        """Return one text."""
        start, end = int(self.offsets[index]), int(self.offsets[index + 1])
        return self.bytes[start:end].tobytes().decode()


@dataclass(frozen=True)
class Postings:
    """For each word its documents in ascending order, how often it stands there, and where.

    Word w owns `documents[offsets[w]:offsets[w + 1]]` and as many `frequencies` (capped at 255)
    and `places`. Positions are word numbers in the document: the title first, then a gap of 100,
    then the text. A posting with a frequency of 1 has its position as place; that of any other is
    where in `positions` there is how many it has, followed by these in ascending order.
    """

    offsets: npt.NDArray[np.uint64]
    documents: npt.NDArray[np.uint32]
    frequencies: npt.NDArray[np.uint8]
    places: npt.NDArray[np.uint32]
    positions: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Words:
    """The vocabulary of a segment: exact forms sorted by their bytes, and the stem of each.

    `forms` holds every exact (lower-cased) form, with its own postings; `stems` holds the stems,
    sorted, with the postings of all their forms merged (without positions: `places` and
    `positions` are empty). `stem_of[form]` is a stem. A stem with one form still has its own
    postings.
    """

    forms: Blob
    form_postings: Postings
    stems: Blob
    stem_postings: Postings
    stem_of: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class StringColumn:
    """One code a document, in the narrowest type that holds the attribute's dictionary."""

    codes: Codes


@dataclass(frozen=True)
class ListColumn:
    """Several codes a document: document d owns `codes[offsets[d]:offsets[d + 1]]`, distinct."""

    offsets: npt.NDArray[np.uint64]
    codes: Codes


@dataclass(frozen=True)
class NumberColumn:
    """One whole number a document; dates are microseconds since 1970 in UTC."""

    values: npt.NDArray[np.int64]
    present: npt.NDArray[np.uint8]  # 1 where the document has a value


Column = StringColumn | ListColumn | NumberColumn


@dataclass(frozen=True)
class Segment:
    """All columns of one segment."""

    count: int
    words: Words
    lengths: npt.NDArray[np.uint32]  # words of title and text
    live: npt.NDArray[np.uint8]  # 0 where the document was deleted or replaced
    columns: Mapping[str, Column]
    access: Codes  # which of the index's access lists the document has; 0 is open to everybody
    ids: Blob
    id_hashes: npt.NDArray[np.uint64]  # of all ids, ascending
    id_documents: npt.NDArray[np.uint32]  # the document of each
    titles: Blob
    texts: Blob
    uris: Blob


@dataclass(frozen=True)
class Dictionary:
    """The values of one attribute over the whole index; code k stands for `values[k - 1]`."""

    values: tuple[str, ...]


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 in UTC; a moment without a time zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // _MICROSECOND
