"""Collections of documents to search: the default one, those that were added, and AWS's own."""

from __future__ import annotations

import re
import shutil
import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from lib.aws import Aws, check_shape, checked_url
from lib.search.model import SearchEngine
from lib.settings import Settings
from lib.store import SearchCollectionRow, Store, utc_now

MAX_NAME_CHARACTERS = 60
MAX_COLLECTIONS = 200

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OPENSEARCH_INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")
_MAX_KEY_BYTES = 1_024  # of an S3 object

SET_ROOTS = (
    "No folder of this machine may be indexed: set SIGHTLINE_SEARCH_ROOTS to those that may, for "
    'example to ["/srv/documents"], and start again.'
)
SET_OPENSEARCH = (
    "No OpenSearch cluster is set: set SIGHTLINE_OPENSEARCH_URL to its https address (and "
    "SIGHTLINE_OPENSEARCH_USERNAME and SIGHTLINE_OPENSEARCH_PASSWORD), and start again."
)


class Kind(StrEnum):
    """Where documents come from; the last two are searched where they are."""

    SDK = "aws-models"
    UPLOADS = "uploads"
    FOLDER = "folder"
    BUCKET = "s3"
    KENDRA = "kendra"
    OPENSEARCH = "opensearch"


class CollectionError(ValueError):
    """A collection that cannot be added or opened; the message says why and what to do."""


@dataclass(frozen=True)
class Collection:
    """Documents that are searched together. Its name is unique, and its id is never used again."""

    id: str
    name: str
    source: Mapping[str, str]  # its kind, and what that needs
    added_by: str = ""
    added_at: datetime | None = None

    @property
    def kind(self) -> Kind:
        """Return where the documents come from."""
        return Kind(self.source["kind"])

    @property
    def is_indexed(self) -> bool:
        """Tell whether the documents are indexed on this machine."""
        return self.kind not in {Kind.KENDRA, Kind.OPENSEARCH}

    @property
    def place(self) -> str:
        """Return where the documents are, for people."""
        match self.kind:
            case Kind.SDK:
                return "The AWS SDK installed here"
            case Kind.UPLOADS:
                return "Uploaded files"
            case Kind.FOLDER:
                return f"Folder {self.source['path']}"
            case Kind.BUCKET:
                return f"Amazon S3, s3://{self.source['bucket']}/{self.source['prefix']}"
            case Kind.KENDRA:
                return f"Amazon Kendra index {self.source['index']}"
            case Kind.OPENSEARCH:
                return f"OpenSearch index {self.source['index']}"


AWS_DOCUMENTATION = Collection("aws-documentation", "AWS documentation", {"kind": Kind.SDK})


# ---------------------------------------------------------------------------------- the table


def collections(store: Store) -> tuple[Collection, ...]:
    """Return all collections: the default one, then those that were added, by name."""
    by_name = select(SearchCollectionRow).order_by(SearchCollectionRow.folded_name)
    with store.read() as session:
        return (AWS_DOCUMENTATION, *map(_collection, session.scalars(by_name)))


def find_collection(store: Store, collection_id: str) -> Collection | None:
    """Return the collection with an id, None where there is none (any more)."""
    if collection_id == AWS_DOCUMENTATION.id:
        return AWS_DOCUMENTATION
    with store.read() as session:
        row = session.get(SearchCollectionRow, collection_id)
        return None if row is None else _collection(row)


def add_collection(store: Store, name: str, source: Mapping[str, str], owner: str) -> Collection:
    """Return a new collection; raises `CollectionError` where its name is taken or none."""
    name = checked_name(name)
    row = SearchCollectionRow(
        id=uuid.uuid4().hex,
        name=name,
        folded_name=name.casefold(),
        source=dict(source),
        added_by=owner,
        added_at=utc_now(),
    )
    taken = {one.name.casefold() for one in collections(store)}
    if len(taken) > MAX_COLLECTIONS:
        raise CollectionError(f"There are {MAX_COLLECTIONS} collections. Remove one first.")
    if row.folded_name in taken:
        raise _taken(name)
    try:
        with store.write() as session:
            session.add(row)
    except IntegrityError:  # somebody else was quicker
        raise _taken(name) from None
    return _collection(row)


def remove_collection(store: Store, settings: Settings, collection: Collection) -> None:
    """Remove a collection with its index and its uploaded files; the default one stays."""
    with store.write() as session:
        session.execute(delete(SearchCollectionRow).where(SearchCollectionRow.id == collection.id))
    if collection != AWS_DOCUMENTATION:
        remove_files(settings, collection.id)


def remove_files(settings: Settings, collection_id: str) -> None:
    """Remove the index and the uploaded files of a collection that is gone."""
    shutil.rmtree(index_folder(settings, collection_id), ignore_errors=True)
    shutil.rmtree(upload_folder(settings, collection_id), ignore_errors=True)


def checked_name(name: str) -> str:
    """Return a collection's name in its one spelling; raises `CollectionError`."""
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise CollectionError(
            f"A collection's name has 1 to {MAX_NAME_CHARACTERS} printable characters."
        )
    return name


def _taken(name: str) -> CollectionError:
    return CollectionError(f"There is a collection {name} already. Choose another name.")


def _collection(row: SearchCollectionRow) -> Collection:
    return Collection(row.id, row.name, row.source, row.added_by, row.added_at)


# --------------------------------------------------------------------------------- the sources


def folder_source(path: str, metadata: str, settings: Settings) -> dict[str, str]:
    """Return the source of a folder below the roots; raises `CollectionError`."""
    return {
        "kind": Kind.FOLDER,
        "path": str(allowed_folder(path, settings)),
        "metadata": _subfolder(metadata),
    }


def allowed_folder(path: str, settings: Settings) -> Path:
    """Return a folder, its links followed, where it lies below a root; raises `CollectionError`."""
    if not settings.search_roots:
        raise CollectionError(SET_ROOTS)
    asked = Path(path.strip())
    if not asked.is_absolute():
        raise CollectionError("Name the folder by its whole path, which begins with /.")
    try:
        folder = asked.resolve()
        roots = [root.resolve() for root in settings.search_roots]
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        raise CollectionError(f"The folder {asked} cannot be opened. Check its path.") from None
    if not any(folder.is_relative_to(root) for root in roots):
        listed = ", ".join(map(str, settings.search_roots))
        raise CollectionError(
            f"{asked} lies outside the folders that may be indexed ({listed}). Choose one of these "
            "or below, or add it to SIGHTLINE_SEARCH_ROOTS and start again."
        )
    if not folder.is_dir():
        raise CollectionError(f"There is no folder {asked}. Check its path.")
    return folder


def bucket_source(bucket: str, prefix: str, metadata: str) -> dict[str, str]:
    """Return the source of a bucket's objects below a prefix; raises `CollectionError`."""
    bucket = bucket.strip().removeprefix("s3://").rstrip("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise CollectionError(
            "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens."
        )
    prefix = prefix.strip().lstrip("/")
    if len(prefix.encode()) > _MAX_KEY_BYTES or not prefix.isprintable():
        raise CollectionError(f"A prefix has up to {_MAX_KEY_BYTES:,} printable characters.")
    return {
        "kind": Kind.BUCKET,
        "bucket": bucket,
        "prefix": prefix,
        "metadata": _subfolder(metadata),
    }


def kendra_source(index_id: str, aws: Aws) -> dict[str, str]:
    """Return the source of a Kendra index of this account, once that has told its attributes.

    Raises `CollectionError` for an id that is none, `AwsError` where AWS does not answer.
    """
    from lib.search.kendra import KendraSearch

    index_id = index_id.strip()
    if check_shape("kendra", "DescribeIndex", {"Id": index_id}):
        raise CollectionError(
            "The id of a Kendra index has 36 letters, digits and hyphens: copy it from the "
            "Amazon Kendra console."
        )
    KendraSearch(aws, index_id).attributes()
    return {"kind": Kind.KENDRA, "index": index_id}


def opensearch_source(index: str, settings: Settings) -> dict[str, str]:
    """Return the source of an index of the OpenSearch cluster, once that has told its attributes.

    Raises `CollectionError` for a name that is none, `QueryError` where the cluster refuses it and
    `AwsError` for an address that may not be asked.
    """
    index = index.strip()
    if not _OPENSEARCH_INDEX.fullmatch(index):
        raise CollectionError(
            "The name of an OpenSearch index has up to 255 lower-case letters, digits, dots, "
            "hyphens and underscores, and begins with a letter or digit."
        )
    if not _opensearch(index, settings).attributes():
        raise CollectionError(
            f"The OpenSearch index {index} does not say which attributes its documents have: make "
            "it with the mapping of lib.search.opensearch.index_body."
        )
    return {"kind": Kind.OPENSEARCH, "index": index}


def indexed_source(collection: Collection, settings: Settings) -> dict[str, str]:
    """Return what `sources.open_source` takes to read a collection; raises `CollectionError`.

    A folder is checked again: since it was added, links and settings may have changed.
    """
    source = dict(collection.source)
    if collection.kind is Kind.UPLOADS:
        source["path"] = str(upload_folder(settings, collection.id))
    if collection.kind is Kind.FOLDER:
        source["path"] = str(allowed_folder(source["path"], settings))
    return source


def index_folder(settings: Settings, collection_id: str = AWS_DOCUMENTATION.id) -> Path:
    """Return the folder of a collection's index."""
    return settings.data_dir / "search" / collection_id


def upload_folder(settings: Settings, collection_id: str) -> Path:
    """Return the folder of the files that were uploaded to a collection."""
    return settings.data_dir / "uploads" / collection_id


def _subfolder(metadata: str) -> str:
    parts = metadata.strip().strip("/").split("/")
    if ".." in parts or not metadata.isprintable():
        raise CollectionError("The folder of metadata files lies below the one of the documents.")
    return "/".join(parts)


# --------------------------------------------------------------------------------- the engines


def open_remote(collection: Collection, settings: Settings, aws: Aws) -> SearchEngine:
    """Return the engine that searches a collection where it is; raises `CollectionError`."""
    from lib.search.kendra import KendraSearch
    from lib.search.remembered import Remembered

    if collection.kind is Kind.KENDRA:
        return Remembered(KendraSearch(aws, collection.source["index"]))
    return Remembered(_opensearch(collection.source["index"], settings))


def _opensearch(index: str, settings: Settings) -> SearchEngine:
    from lib.search.opensearch import OpenSearchEngine

    url = checked_url(settings.opensearch_url, "SIGHTLINE_OPENSEARCH_URL")
    if url is None:
        raise CollectionError(SET_OPENSEARCH)
    password = settings.opensearch_password.get_secret_value()
    login = (settings.opensearch_username, password) if settings.opensearch_username else None
    return OpenSearchEngine(url, index, login)
