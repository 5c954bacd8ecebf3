"""A small library to search: 61 documents that answer one question, and some that do not.

Technologies, document types and their counts are those of an example in the AWS blog post
"Take your intelligent search experience to the next level with Amazon Kendra hierarchical facets".
"""

from __future__ import annotations

import json
from pathlib import Path

from lib.search.collections import AWS_DOCUMENTATION
from lib.search.model import Document, Value
from lib.search.writer import open_writer

QUESTION = "How to encrypt data?"
COUNTS = {
    ("Databases", "User_Guides"): 12,
    ("Databases", "Reference_Guides"): 7,
    ("Databases", "Release_Notes"): 4,
    ("Storage", "User_Guides"): 16,
    ("Storage", "Reference_Guides"): 6,
    ("Compute", "User_Guides"): 9,
    ("Compute", "Reference_Guides"): 6,
    ("Compute", "Release_Notes"): 1,
}
FOUND = sum(COUNTS.values())
OTHERS = 20
HOSTILE = "**bold** ![x](http://127.0.0.9/x.png) <img src=x onerror=document.title='owned'>"


def documents() -> list[Document]:
    """Return the documents; the first of each kind has a title that browsers must not run."""
    found = [
        Document(
            f"{technology}/{kind}/{number}",
            f"{technology} {kind} {number} {'' if number else HOSTILE}",
            f"This part says how to encrypt data at rest. {HOSTILE} Volume {number}.",
            f"https://docs.example.org/{technology}/{number}" if number else "javascript:alert(1)",
            _attributes(technology, kind, number),
        )
        for (technology, kind), count in COUNTS.items()
        for number in range(count)
    ]
    others = [
        Document(f"other/{number}", f"Invoice {number}", "Nothing but invoices here.")
        for number in range(OTHERS)
    ]
    return found + others


def uploads() -> dict[str, bytes]:
    """Return the documents that answer the question as files, described as for Amazon Kendra."""
    files: dict[str, bytes] = {}
    for (technology, kind), count in COUNTS.items():
        for number in range(count):
            name = f"{technology}-{kind}-{number}.txt"
            described = {
                "Title": f"{technology} {kind} {number}",
                "Attributes": {"Technology": technology, "Document_Type": kind},
            }
            files[name] = f"This part says how to encrypt data at rest. {HOSTILE}".encode()
            files[f"{name}.metadata.json"] = json.dumps(described).encode()
    return files


def write_library(data_dir: Path) -> None:
    """Index the library where the product looks for its index."""
    with open_writer(data_dir / "search" / AWS_DOCUMENTATION.id) as writer:
        writer.add(documents())
        writer.commit()


def _attributes(technology: str, kind: str, number: int) -> dict[str, Value]:
    return {
        "Technology": technology,
        "Document_Type": kind,
        "service": f"Service {number}",
        "api_version_year": 2010 + number,
    }
