from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from lib.aws import NotFound, open_aws
from lib.search.sources import Changed, Removed, Skipped, SourceError, files, open_source
from lib.search.sources.s3 import Bucket
from lib.settings import Settings

pytest_plugins = ["tests.aws.fixtures"]

BUCKET = "library"


@pytest.fixture
def bucket(aws_settings: Settings) -> Iterator[Bucket]:
    with mock_aws():
        aws = open_aws(aws_settings)
        aws.client("s3").create_bucket(Bucket=BUCKET)
        yield Bucket(aws, BUCKET)


def put(bucket: Bucket, key: str, body: Any = b"text", **more: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    bucket.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content, **more)


def scan(bucket: Bucket, known: dict[str, str]) -> tuple[dict[str, Changed], set[str], set[str]]:
    """Return what changed, what was removed and what skipped; bring `known` up to date."""
    changes = list(bucket.changes(dict(known)))
    changed = {c.document.id: c for c in changes if isinstance(c, Changed)}
    removed = {c.id for c in changes if isinstance(c, Removed)}
    known.update((id_, change.fingerprint) for id_, change in changed.items())
    for id_ in removed:
        del known[id_]
    return changed, removed, {c.name for c in changes if isinstance(c, Skipped)}


def fetches(bucket: Bucket) -> list[str]:
    """Return a list that every key fetched from now on is added to."""
    fetched: list[str] = []
    bucket.aws.client("s3").meta.events.register(
        "provide-client-params.s3.GetObject", lambda params, **_: fetched.append(params["Key"])
    )
    return fetched


def test_objects_and_their_metadata_become_documents(bucket: Bucket) -> None:
    put(bucket, "docs/")
    put(bucket, "docs/a b.txt", b"Encrypt it")
    put(
        bucket,
        "docs/a b.txt.metadata.json",
        {"Title": "T", "Attributes": {"Technology": "Storage"}},
    )
    put(bucket, "docs/b.exe")
    put(bucket, "other/c.txt")
    changed, _, skipped = scan(Bucket(bucket.aws, BUCKET, "docs/"), {})
    document = changed["docs/a b.txt"].document
    assert (document.title, document.text) == ("T", "Encrypt it")
    assert document.uri == "s3://library/docs/a%20b.txt"
    assert document.attributes["Technology"] == "Storage"
    assert "_last_updated_at" in document.attributes
    assert changed.keys() == {"docs/a b.txt"}
    assert skipped == {"docs/b.exe"}


@pytest.mark.parametrize("prefix", ["documents/legal/", ""])
def test_metadata_may_have_a_prefix_of_its_own(bucket: Bucket, prefix: str) -> None:
    put(bucket, "documents/legal/file.txt")
    put(bucket, "metadata/documents/legal/file.txt.metadata.json", {"Title": "Found"})
    put(bucket, "metadata/documents/sales/gone.txt.metadata.json", {"Title": "Alone"})
    changed, _, skipped = scan(Bucket(bucket.aws, BUCKET, prefix, "metadata"), {})
    assert changed["documents/legal/file.txt"].document.title == "Found"
    alone = {"metadata/documents/sales/gone.txt.metadata.json"}
    assert (len(changed), skipped) == (1, set() if prefix else alone)


@pytest.mark.parametrize("prefix", ["documents/", ""])
def test_a_prefix_without_metadata_opens_nothing(bucket: Bucket, prefix: str) -> None:
    put(bucket, "documents/file.txt")
    put(bucket, "metadata/other.json")
    with pytest.raises(SourceError, match="no metadata files below metadata/"):
        list(Bucket(bucket.aws, BUCKET, prefix, "metadata").changes({}))


def test_only_what_changed_is_fetched_and_told_again(bucket: Bucket) -> None:
    for key in ("a.txt", "b.txt", "c.txt"):
        put(bucket, key)
    known: dict[str, str] = {}
    assert scan(bucket, known)[0].keys() == {"a.txt", "b.txt", "c.txt"}
    fetched = fetches(bucket)
    assert scan(bucket, known) == ({}, set(), set())
    assert fetched == []
    put(bucket, "a.txt", b"changed")
    bucket.aws.client("s3").delete_object(Bucket=BUCKET, Key="b.txt")
    changed, removed, _ = scan(bucket, known)
    assert (set(changed), removed, fetched) == ({"a.txt"}, {"b.txt"}, ["a.txt"])


def test_every_page_of_a_long_listing_is_read(bucket: Bucket) -> None:
    for number in range(5):
        put(bucket, f"{number}.txt")
    bucket.aws.client("s3").meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 2}
    )
    assert len(scan(bucket, {})[0]) == 5


def test_an_object_too_large_is_skipped_without_being_fetched(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    put(bucket, "huge.txt", b"a" * 11)
    put(bucket, "small.txt", b"a" * 10)
    fetched = fetches(bucket)
    changed, _, skipped = scan(bucket, {})
    assert (set(changed), skipped, fetched) == ({"small.txt"}, {"huge.txt"}, ["small.txt"])


def test_an_object_in_cold_storage_is_skipped(bucket: Bucket) -> None:
    put(bucket, "cold.txt", StorageClass="GLACIER")
    put(bucket, "warm.txt")
    changes = list(bucket.changes({}))
    (skipped,) = [change for change in changes if isinstance(change, Skipped)]
    assert skipped.name == "cold.txt"
    assert "InvalidObjectState" in skipped.reason
    assert len(changes) == 2


def test_an_object_deleted_while_reading_is_skipped(bucket: Bucket) -> None:
    put(bucket, "a.txt")
    put(bucket, "b.txt")
    changes = bucket.changes({})
    assert isinstance(next(changes), Changed)
    bucket.aws.client("s3").delete_object(Bucket=BUCKET, Key="b.txt")
    (skipped,) = changes
    assert isinstance(skipped, Skipped)


def test_a_bucket_that_is_not_there_is_said_so_and_removes_nothing(bucket: Bucket) -> None:
    with pytest.raises(NotFound) as missing:
        list(Bucket(bucket.aws, "missing-bucket").changes({"a.txt": "1 2 a.txt"}))
    assert "s3:ListObjectsV2" in str(missing.value)


def test_a_source_is_opened_by_its_description(bucket: Bucket) -> None:
    described = {"kind": "s3", "bucket": BUCKET, "prefix": "docs/", "metadata": "meta"}
    assert open_source(described, bucket.aws) == Bucket(bucket.aws, BUCKET, "docs/", "meta")
    assert open_source({"kind": "aws-models"}, bucket.aws).name == "aws-models"
    assert open_source({"kind": "folder", "path": "x"}, bucket.aws).name.startswith("folder /")
    with pytest.raises(SourceError, match="needs its bucket"):
        open_source({"kind": "s3"}, bucket.aws)
    with pytest.raises(SourceError, match="no source of kind ftp"):
        open_source({"kind": "ftp"}, bucket.aws)
