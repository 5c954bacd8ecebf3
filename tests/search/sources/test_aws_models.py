from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore
import pytest
from botocore.loaders import create_loader
from hypothesis import given
from hypothesis import strategies as st

from lib.search.model import Document
from lib.search.sources.aws_models import AwsModels, plain, service_folders, spoken
from lib.search.sources.model import Changed, Removed
from lib.search.sources.technology import OTHER, products

TAGS = re.compile(r"</?(?:p|code|li|ul|ol|a|i|b|note|important|dl|dt|dd|br|h2|fullname)\b[^<>]*>")
FLOORS = {
    "Service_Guide": 400,
    "Operation": 19_000,
    "Structure": 25_000,
    "Exception": 5_500,
    "Enumeration": 1_800,
    "Waiter": 350,
    "Paginator": 3_000,
}


@dataclass
class Corpus:
    """What the tests look at of the real corpus, which is too large to keep as a whole."""

    types: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    technologies: Counter[str] = field(default_factory=Counter)
    tagged: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    fingerprints: set[str] = field(default_factory=set)
    samples: dict[str, Document] = field(default_factory=dict)

    def look(self, changed: Changed) -> None:
        document, attributes = changed.document, changed.document.attributes
        self.types[str(attributes["Document_Type"])] += 1
        self.technologies[str(attributes["Technology"])] += 1
        self.ids.add(document.id)
        self.services.add(document.id.partition("/")[0])
        self.fingerprints.add(changed.fingerprint)
        if TAGS.search(document.text):
            self.tagged.append(document.id)
        link = urlsplit(document.uri)
        is_linked = (link.scheme, link.hostname) == ("https", "docs.aws.amazon.com")
        is_clean = not re.search(r"[\x00-\x09\x0b-\x1f]|\n\s|\s\n|  ", document.text)
        if not (document.title and document.text and is_linked and is_clean):
            self.bad.append(document.id)
        if document.id.startswith(("s3/", "kms/enumeration/", "ec2/waiter/")):
            self.samples[document.id] = document


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    looked, fractions = Corpus(), list[float]()
    for change in AwsModels().changes({}, fractions.append):
        assert isinstance(change, Changed)
        looked.look(change)
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert 0.99 < fractions[-1] < 1
    return looked


def test_every_installed_service_has_a_technology_and_nothing_else_has() -> None:
    installed = create_loader().list_available_services("service-2")
    assert set(products()) == set(installed)


def test_every_product_has_a_name_of_its_own() -> None:
    names = Counter(product.name for product in products().values())
    assert max(names.values()) == 1


def test_each_service_is_read_in_its_newest_version() -> None:
    loader = create_loader()
    for folder in service_folders(Path(botocore.__file__).with_name("data")):
        service = folder.parent.name
        assert folder.name == loader.determine_latest_version(service, "service-2")


def test_the_corpus_holds_every_type_of_document_of_every_service(corpus: Corpus) -> None:
    assert set(corpus.types) == set(FLOORS)
    assert not {kind for kind, floor in FLOORS.items() if corpus.types[kind] < floor}
    assert corpus.services == set(products())
    assert corpus.types["Service_Guide"] == len(products())


def test_ids_are_unique(corpus: Corpus) -> None:
    assert len(corpus.ids) == corpus.types.total()


def test_no_markup_is_left_and_every_document_says_something(corpus: Corpus) -> None:
    assert corpus.tagged == []
    assert corpus.bad == []


def test_every_document_has_a_known_technology(corpus: Corpus) -> None:
    assert OTHER not in corpus.technologies
    assert {"Compute", "Storage", "Databases"} < set(corpus.technologies)


def test_the_version_of_botocore_is_the_fingerprint(corpus: Corpus) -> None:
    (fingerprint,) = corpus.fingerprints
    assert version("botocore") in fingerprint.split()


def test_operations_and_structures_are_those_of_the_model(corpus: Corpus) -> None:
    model = create_loader().load_service_model("s3", "service-2")
    operations = {f"s3/operation/{name}" for name in model["operations"]}
    assert {id_ for id_ in corpus.ids if id_.startswith("s3/operation/")} == operations
    assert "s3/structure/Owner" in corpus.ids
    assert "s3/structure/PutObjectRequest" not in corpus.ids  # told with its operation


def test_an_operation_is_told_with_its_request_response_and_errors(corpus: Corpus) -> None:
    put = corpus.samples["s3/operation/PutObject"]
    assert put.title == "Amazon S3: PutObject"
    assert put.text.startswith("Put object\n")
    assert "\nAdds an object to a bucket.\n" in put.text
    assert re.search(r"^ServerSideEncryption: The server-side encryption", put.text, re.MULTILINE)
    assert put.text.endswith("Errors: " + ", ".join(put.attributes["errors"]))  # type: ignore[arg-type] # a tuple
    assert put.uri == "https://docs.aws.amazon.com/goto/WebAPI/s3-2006-03-01/PutObject"
    expected = {"service": "Amazon S3", "Technology": "Storage", "Document_Type": "Operation"}
    assert expected.items() <= put.attributes.items()
    assert put.attributes["action"] == "Put"
    assert put.attributes["api_version_year"] == 2006
    assert put.attributes["protocol"] == "rest-xml"


def test_a_waiter_and_a_paginator_are_told_in_words(corpus: Corpus) -> None:
    waiter = corpus.samples["s3/waiter/BucketNotExists"].text
    assert "HeadBucket every 5 seconds, up to 20 times" in waiter
    assert "Success: status is 404" in waiter
    paginator = corpus.samples["s3/paginator/ListObjectsV2"].text
    assert "Results: Contents, CommonPrefixes" in paginator


def test_an_enumeration_lists_its_values(corpus: Corpus) -> None:
    enumeration = corpus.samples["s3/enumeration/EncodingType"]
    assert enumeration.text.splitlines()[-1] == "Values: url"


# ------------------------------------------------------------------------- a small SDK of our own


def model(**more: Any) -> dict[str, Any]:
    metadata = {
        "apiVersion": "2031-02-03",
        "protocol": "json",
        "serviceFullName": "Amazon Tomorrow",
        "uid": "tomorrow-2031-02-03",
    }
    return {
        "metadata": metadata,
        "operations": {"GetDay": {"input": {"shape": "In"}, "output": {"shape": "Day"}}},
        "shapes": {
            "In": {"type": "structure", "members": {"Name": {"shape": "Name"}}},
            "Name": {"type": "string", "documentation": "<p>What it is <i>called</i>.</p>"},
            "Day": {"type": "structure", "members": {}},
            "Days": {"type": "list", "member": {"shape": "Day"}},
        },
        **more,
    }


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    for year in ("2030-01-01", "2031-02-03"):
        folder = tmp_path / "tomorrow" / year
        folder.mkdir(parents=True)
        content = json.dumps(model(documentation=f"<p>Of {year}</p>")).encode()
        (folder / "service-2.json.gz").write_bytes(gzip.compress(content))
    (tmp_path / "endpoints.json").write_text("{}")
    return tmp_path


def documents(sdk: Path, known: dict[str, str] | None = None) -> Iterator[Document]:
    for change in AwsModels(sdk).changes(known or {}):
        assert isinstance(change, Changed)
        yield change.document


def test_a_service_that_the_table_lacks_is_of_other_technology(sdk: Path) -> None:
    guide = next(documents(sdk))
    assert guide.id == "tomorrow/guide"
    assert guide.attributes["Technology"] == OTHER
    assert guide.attributes["service"] == "Amazon Tomorrow"
    assert guide.text == "Amazon Tomorrow\nOf 2031-02-03"


def test_a_member_without_words_of_its_own_is_told_by_its_shape(sdk: Path) -> None:
    texts = {document.id: document.text for document in documents(sdk)}
    assert texts["tomorrow/operation/GetDay"] == "Get day\nRequest:\nName: What it is called."


def test_a_result_that_is_also_a_member_is_a_structure(sdk: Path) -> None:
    ids = {document.id for document in documents(sdk)}
    assert ids == {"tomorrow/guide", "tomorrow/operation/GetDay", "tomorrow/structure/Day"}


def test_only_what_this_version_has_not_told_yet_is_changed(sdk: Path) -> None:
    source = AwsModels(sdk)
    told = [change for change in source.changes({}) if isinstance(change, Changed)]
    known = {change.document.id: change.fingerprint for change in told}
    assert list(source.changes(known)) == []
    assert list(source.changes({**known, "gone/guide": "x"})) == [Removed("gone/guide")]
    known["tomorrow/guide"] = "botocore 1.0.0 format 1"
    (again,) = source.changes(known)
    assert isinstance(again, Changed)
    assert again.document.id == "tomorrow/guide"


# ------------------------------------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("documentation", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>One <code>two</code>.</p> <p>Three</p>", "One two.\nThree"),
        ('<ul> <li> <p>See <a href="x">here</a></p> </li></ul>', "See here"),
        ("<p>a &lt; b &amp;&amp; c &#x2028;d</p>", "a < b && c d"),
        ("&lt;p&gt;Twice <b>escaped</b>&lt;/p&gt;", "Twice escaped"),
        ("<p>arn:aws:<region>:<account-id></p>", "arn:aws:<region>:<account-id>"),
        ("<fullname>Amazon X</fullname><p>It is</p>", "Amazon X\nIt is"),
        ("a<br/>b", "a\nb"),
    ],
)
def test_documentation_becomes_plain_text(documentation: str, text: str) -> None:
    assert plain(documentation) == text


@given(st.text(alphabet="ab <>/&;ltgpcode\n "))
def test_plain_text_is_tidy_whatever_the_documentation(documentation: str) -> None:
    text = plain(documentation)
    assert text == text.strip()
    assert "  " not in text
    assert "\n\n" not in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PutObject", "Put object"),
        ("CreateDBInstance", "Create DB instance"),
        ("ListObjectsV2", "List objects V2"),
        ("snake_case", "Snake case"),
        ("A", "A"),
        ("_", "_"),
    ],
)
def test_names_are_spoken(name: str, words: str) -> None:
    assert spoken(name) == words
