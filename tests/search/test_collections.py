"""Collections on a real store: added, found, indexed, and removed with all that is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.aws import AccessDenied, Aws, NotConfigured, open_aws
from lib.jobs import Cancelled, JobError
from lib.search.collections import (
    AWS_DOCUMENTATION,
    Collection,
    CollectionError,
    Kind,
    add_collection,
    bucket_source,
    collections,
    find_collection,
    folder_source,
    index_folder,
    kendra_source,
    open_remote,
    opensearch_source,
    remove_collection,
    upload_folder,
)
from lib.search.index import open_index
from lib.search.indexing import index_collection
from lib.search.model import QueryError, SearchRequest
from lib.search.opensearch import OpenSearchEngine
from lib.search.sources.uploads import Uploads
from lib.settings import Settings, settings
from lib.store import Store, open_store
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws
from tests.search.contract import DOCUMENTS, TYPES
from tests.search.kendra_double import INDEX_ID
from tests.search.opensearch_double import OpenSearchDouble

__all__ = ["aws_double", "aws_settings", "no_aws"]

UPLOADS = {"kind": Kind.UPLOADS}
DENIED = "User: arn:aws:iam::1:user/ana is not authorized to perform: kendra:DescribeIndex"


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store(settings().store_url)
    yield store
    store.close()


def report(fraction: float, step: str) -> None:
    """Take a report."""


# ---------------------------------------------------------------------------------- the table


def test_the_default_collection_is_first_and_the_others_go_by_name(store: Store) -> None:
    assert collections(store) == (AWS_DOCUMENTATION,)
    zebras = add_collection(store, " Zebras\n of  Africa ", UPLOADS, "ana")
    apples = add_collection(store, "apples", UPLOADS, "ana")
    assert zebras.name == "Zebras of Africa"
    assert collections(store) == (AWS_DOCUMENTATION, apples, zebras)
    assert find_collection(store, zebras.id) == zebras
    assert find_collection(store, AWS_DOCUMENTATION.id) == AWS_DOCUMENTATION
    assert find_collection(store, "nothing") is None


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\0b", "AWS Documentation", "APPLES"])
def test_a_name_that_is_none_or_taken_is_refused(store: Store, name: str) -> None:
    add_collection(store, "apples", UPLOADS, "ana")
    with pytest.raises(CollectionError, match="name"):
        add_collection(store, name, UPLOADS, "ana")
    assert len(collections(store)) == 2


def test_an_id_is_never_used_again(store: Store) -> None:
    first = add_collection(store, "apples", UPLOADS, "ana")
    remove_collection(store, settings(), first)
    assert add_collection(store, "apples", UPLOADS, "ana").id != first.id


def test_the_default_collection_stays(store: Store) -> None:
    folder = index_folder(settings())
    folder.mkdir(parents=True)
    remove_collection(store, settings(), AWS_DOCUMENTATION)
    assert folder.is_dir()
    assert collections(store) == (AWS_DOCUMENTATION,)


# ---------------------------------------------------------------------------------- the folder


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "a.txt").write_text("How to encrypt data")
    (tmp_path / "secret").mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "circle").symlink_to(folder / "circle")
    return folder


def with_roots(*roots: Path) -> Settings:
    return settings().model_copy(update={"search_roots": roots})


def test_no_folder_may_be_indexed_before_a_root_is_set(documents: Path) -> None:
    with pytest.raises(CollectionError, match="set SIGHTLINE_SEARCH_ROOTS"):
        folder_source(str(documents), "", settings())


def test_a_folder_below_a_root_may_be_indexed(documents: Path) -> None:
    for path in (documents, documents / "below", documents / "below" / ".." / "below"):
        source = folder_source(f" {path} ", "meta/", with_roots(Path("/nowhere"), documents))
        assert source == {"kind": "folder", "path": str(path.resolve()), "metadata": "meta"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("..", "SIGHTLINE_SEARCH_ROOTS"),
        ("../documents-2", "SIGHTLINE_SEARCH_ROOTS"),
        ("link", "SIGHTLINE_SEARCH_ROOTS"),
        ("/etc", "SIGHTLINE_SEARCH_ROOTS"),
        ("missing", "no folder"),
        ("below/a.txt", "no folder"),
        ("circle", "cannot be opened|no folder"),
        ("a\0b", "cannot be opened"),
    ],
)
def test_a_folder_outside_the_roots_is_refused(documents: Path, path: str, reason: str) -> None:
    with pytest.raises(CollectionError, match=reason):
        folder_source(str(documents / path), "", with_roots(documents))


def test_a_path_from_nowhere_and_metadata_outside_are_refused(documents: Path) -> None:
    with pytest.raises(CollectionError, match="whole path"):
        folder_source("documents", "", with_roots(documents))
    with pytest.raises(CollectionError, match="metadata files"):
        folder_source(str(documents), "a/../../b", with_roots(documents))


def test_a_folder_is_checked_again_when_it_is_indexed(
    store: Store, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_SEARCH_ROOTS", f'["{documents}"]')
    settings.cache_clear()
    source = folder_source(str(documents / "below"), "", settings())
    added = add_collection(store, "Documents", source, "root")
    result = index_collection(report, added.id)
    assert (result["added"], result["skipped"]) == (1, 0)
    (documents / "below").rename(documents / "moved")
    (documents / "below").symlink_to(documents.parent / "secret")
    with pytest.raises(JobError, match="SIGHTLINE_SEARCH_ROOTS"):
        index_collection(report, added.id)


# ------------------------------------------------------------------------------------- the jobs


def uploaded(store: Store, **files: bytes) -> Collection:
    added = add_collection(store, "Uploads", UPLOADS, "ana")
    folder = Uploads(upload_folder(settings(), added.id))
    folder.keep({f"{name}.txt": content for name, content in files.items()}, 1)
    return added


def test_each_collection_has_an_index_of_its_own(store: Store) -> None:
    added = uploaded(store, a=b"one", b=b"two")
    assert index_collection(report, added.id)["added"] == 2
    assert index_collection(report, added.id)["added"] == 0
    assert open_index(index_folder(settings(), added.id)).segments[0].count == 2
    assert not index_folder(settings()).exists()
    remove_collection(store, settings(), added)
    assert not index_folder(settings(), added.id).exists()
    assert not upload_folder(settings(), added.id).exists()
    with pytest.raises(JobError, match="was removed"):
        index_collection(report, added.id)


def test_a_collection_removed_while_it_is_indexed_leaves_nothing(store: Store) -> None:
    added = uploaded(store, a=b"one")

    def remove(fraction: float, step: str) -> None:  # noqa: ARG001 - names as in `Report`
        remove_collection(store, settings(), added)
        raise Cancelled

    with pytest.raises(Cancelled):
        index_collection(remove, added.id)
    assert not index_folder(settings(), added.id).exists()


def test_an_attempt_after_the_removal_takes_away_what_a_dead_one_left(store: Store) -> None:
    added = uploaded(store, a=b"one")
    remove_collection(store, settings(), added)
    index_folder(settings(), added.id).mkdir(parents=True)
    with pytest.raises(JobError, match="was removed"):
        index_collection(lambda _fraction, _step: None, added.id)
    assert not index_folder(settings(), added.id).exists()


# -------------------------------------------------------------------------------------- S3


def test_a_bucket_and_prefix_are_a_source() -> None:
    assert bucket_source(" s3://my.library/ ", "/docs/", "meta") == {
        "kind": "s3",
        "bucket": "my.library",
        "prefix": "docs/",
        "metadata": "meta",
    }


@pytest.mark.parametrize(
    "bucket", ["", "ab", "UPPER", "a/b", "a@b.example", "a..b", "x" * 64, "arn:aws:s3:::bucket"]
)
def test_what_cannot_be_a_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(CollectionError, match="bucket's name"):
        bucket_source(bucket, "", "")


def test_a_prefix_has_its_limits() -> None:
    with pytest.raises(CollectionError, match="prefix"):
        bucket_source("library", "ü" * 513, "")


def test_a_bucket_without_permission_says_which_one(
    store: Store, aws_settings: Settings, aws_double: AwsDouble
) -> None:
    assert aws_settings.aws_region
    settings.cache_clear()
    added = add_collection(store, "Bucket", bucket_source("library", "", ""), "root")
    aws_double.fail("s3", "ListObjectsV2", WireError("AccessDenied", "Access Denied", 403))
    with pytest.raises(JobError, match="lacks s3:ListBucket"):
        index_collection(report, added.id)


# --------------------------------------------------------------------------- Kendra, OpenSearch


@pytest.fixture
def aws(aws_settings: Settings) -> Aws:
    return open_aws(aws_settings)


def test_a_kendra_index_tells_its_attributes_before_it_is_added(
    aws: Aws, aws_double: AwsDouble
) -> None:
    aws_double.on("kendra", "DescribeIndex", {"Id": INDEX_ID})
    assert kendra_source(f" {INDEX_ID} ", aws) == {"kind": "kendra", "index": INDEX_ID}
    aws_double.fail("kendra", "DescribeIndex", WireError("AccessDeniedException", DENIED))
    with pytest.raises(AccessDenied, match="kendra:DescribeIndex"):
        kendra_source(INDEX_ID, aws)
    with pytest.raises(CollectionError, match="36 letters"):
        kendra_source("../../x", aws)


def test_without_credentials_it_is_said_what_to_set(no_aws: pytest.MonkeyPatch) -> None:
    aws = open_aws(Settings())
    assert "SIGHTLINE_AWS_PROFILE" in aws.to_set
    with pytest.raises(NotConfigured, match="No AWS"):
        kendra_source(INDEX_ID, aws)
    no_aws.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    assert "SIGHTLINE_AWS_REGION" in aws.to_set


@pytest.fixture(scope="module")
def cluster() -> Iterator[OpenSearchDouble]:
    with OpenSearchDouble() as double:
        engine = OpenSearchEngine(double.url, "documents")
        engine.create(TYPES)
        engine.add(DOCUMENTS)
        yield double


def test_an_opensearch_index_is_asked_at_the_address_of_the_settings_alone(
    aws: Aws, cluster: OpenSearchDouble
) -> None:
    now = settings().model_copy(update={"opensearch_url": cluster.url})
    source = opensearch_source(" documents ", now)
    assert source == {"kind": "opensearch", "index": "documents"}
    engine = open_remote(Collection("id", "name", source), now, aws)
    assert engine.name == "OpenSearch"
    found = engine.query(SearchRequest())
    document = engine.document(found.hits[0].id)
    assert document is not None
    assert document.text
    assert engine.document("no such document") is None
    cluster.searches.clear()
    assert engine.query(SearchRequest()) is found
    assert not cluster.searches


@pytest.mark.parametrize(
    "index", ["", "_all", "*", "a,b", "../x", "a/_search", ".security", "http://x", "UPPER"]
)
def test_what_cannot_be_an_opensearch_index_is_refused(index: str) -> None:
    now = settings().model_copy(update={"opensearch_url": "https://search.example.com"})
    with pytest.raises(CollectionError, match="OpenSearch index"):
        opensearch_source(index, now)


def test_a_cluster_that_is_not_set_not_allowed_or_without_the_index_is_a_sentence(
    cluster: OpenSearchDouble,
) -> None:
    with pytest.raises(CollectionError, match="set SIGHTLINE_OPENSEARCH_URL"):
        opensearch_source("documents", settings())
    for url in ("http://search.example.com", "https://169.254.169.254", "https://u:p@example.com"):
        now = settings().model_copy(update={"opensearch_url": url})
        with pytest.raises(NotConfigured, match="SIGHTLINE_OPENSEARCH_URL"):
            opensearch_source("documents", now)
    now = settings().model_copy(update={"opensearch_url": cluster.url})
    with pytest.raises(QueryError, match="no index"):
        opensearch_source("missing", now)


def test_a_kendra_answer_is_asked_once_a_minute(
    aws: Aws, aws_double: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [{"Name": "kind", "Type": "STRING_VALUE", "Search": {"Facetable": True}}]
    aws_double.on("kendra", "DescribeIndex", {"DocumentMetadataConfigurations": fields})
    aws_double.on("kendra", "Query", {"TotalNumberOfResults": 3})
    source = {"kind": "kendra", "index": INDEX_ID}
    engine = open_remote(Collection("id", "name", source), settings(), aws)
    for _ in range(2):
        assert engine.query(SearchRequest("data")).total == 3
    assert len(aws_double.called("kendra", "Query")) == 1
    monkeypatch.setattr("lib.search.remembered.SECONDS", 0.0)
    assert engine.query(SearchRequest("data")).total == 3
    assert len(aws_double.called("kendra", "Query")) == 2
    assert engine.document("any") is None
    assert not engine.keeps_texts
    assert engine.max_results == 100
