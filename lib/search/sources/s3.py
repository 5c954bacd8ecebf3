"""Documents in a bucket of Amazon S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from lib.aws import AccessDenied, Aws, Invalid, NotFound, aws_errors
from lib.search.sources.files import Listing, StoredFile, file_changes
from lib.search.sources.metadata import SUFFIX
from lib.search.sources.model import Change, Progress, no_progress
from lib.search.sources.readers import MAX_FILE_BYTES, ReadError


@dataclass(frozen=True)
class Bucket:
    """The objects of a bucket whose keys start with a prefix."""

    aws: Aws
    bucket: str
    prefix: str = ""
    metadata: str = ""  # prefix of the metadata files; "" is beside the documents

    @property
    def name(self) -> str:
        """Return what tells this source from all others."""
        return f"s3://{self.bucket}/{self.prefix}"

    def changes(
        self, known: Mapping[str, str], progress: Progress = no_progress
    ) -> Iterator[Change]:
        """Yield what differs from the documents known; raises `AwsError`."""
        yield from file_changes(self._listing(), known, self.metadata, progress)

    def _listing(self) -> Listing:
        objects = {item["Key"]: item for item in self._objects(self.prefix)}
        folder = self.metadata.strip("/")
        if folder and not f"{folder}/".startswith(self.prefix):
            described = self._objects(f"{folder}/{self.prefix}")
            objects |= {item["Key"]: item for item in described if item["Key"].endswith(SUFFIX)}
        return Listing(
            tuple(self._stored(item) for key, item in objects.items() if not key.endswith("/"))
        )

    def _objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        with aws_errors("s3", "ListObjectsV2"):
            pages = self.aws.client("s3").get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                yield from page.get("Contents", ())

    def _stored(self, item: Mapping[str, Any]) -> StoredFile:
        key = item["Key"]
        return StoredFile(
            name=key,
            size=item["Size"],
            stamp=item["ETag"].strip('"'),
            read=partial(self._read, key),
            uri=f"s3://{self.bucket}/{quote(key)}",
            modified=item["LastModified"].replace(microsecond=0),
        )

    def _read(self, key: str) -> bytes:
        """Return an object's content, up to one byte more than the limit."""
        try:
            with aws_errors("s3", "GetObject"):
                answer = self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)
                with answer["Body"] as body:
                    content: bytes = body.read(MAX_FILE_BYTES + 1)
        # What these say concerns this object alone; Invalid is one in cold storage.
        except (AccessDenied, NotFound, Invalid) as error:
            raise ReadError(str(error)) from None
        return content
