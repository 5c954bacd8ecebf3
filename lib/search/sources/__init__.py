"""Where the documents of an index come from: the AWS SDK itself, a folder, uploads, S3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib.search.sources.model import (
    Change,
    Changed,
    Progress,
    Removed,
    Skipped,
    Source,
    SourceError,
    no_progress,
)

if TYPE_CHECKING:
    from lib.aws import Aws

__all__ = [
    "Change",
    "Changed",
    "Progress",
    "Removed",
    "Skipped",
    "Source",
    "SourceError",
    "no_progress",
    "open_source",
]


def open_source(description: Mapping[str, str], aws: Aws) -> Source:
    """Return the source that a description in JSON names; raises `SourceError`.

    {"kind": "aws-models"}, {"kind": "uploads", "path": ...}, {"kind": "folder", "path": ...,
    "metadata": ...} or {"kind": "s3", "bucket": ..., "prefix": ..., "metadata": ...}; `metadata`
    is where the metadata files lie, beside the documents where it is left out.
    """
    from lib.search.sources.aws_models import AwsModels
    from lib.search.sources.folder import Folder
    from lib.search.sources.s3 import Bucket
    from lib.search.sources.uploads import Uploads

    kind, metadata = description.get("kind"), description.get("metadata", "")
    try:
        if kind == "aws-models":
            return AwsModels()
        if kind == "uploads":
            return Uploads(Path(description["path"]))
        if kind == "folder":
            return Folder(Path(description["path"]), metadata)
        if kind == "s3":
            return Bucket(aws, description["bucket"], description.get("prefix", ""), metadata)
    except KeyError as missing:
        raise SourceError(f"A source of kind {kind} needs its {missing.args[0]}.") from None
    raise SourceError(
        f"There is no source of kind {kind}: choose aws-models, uploads, folder or s3."
    )
