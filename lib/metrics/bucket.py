"""Files of measures in an S3 bucket, copied here as far as they changed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from lib.aws import Aws, aws_errors
from lib.metrics.model import MetricsError
from lib.metrics.tables import MAX_BUCKET_BYTES, MAX_FILES, SUFFIXES

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ETAGS = "etags.json"


def fetch(aws: Aws, bucket: str, prefix: str, folder: Path) -> Path:
    """Return the folder with copies of the objects under a prefix; unchanged ones stay as they are.

    Raises `MetricsError` for a wrong name or too much, `AwsError` where S3 refuses.
    """
    if not _BUCKET.fullmatch(bucket):
        raise MetricsError(f"{bucket!r} is no name of a bucket.")
    place = folder / hashlib.sha256(f"{bucket}/{prefix}".encode()).hexdigest()[:32]
    place.mkdir(parents=True, exist_ok=True)
    memory = place / ETAGS
    known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
    s3 = aws.client("s3")
    objects = _objects(s3, bucket, prefix)
    names = {one["Key"]: _name(one["Key"]) for one in objects}
    for one in objects:
        name = names[one["Key"]]
        if known.get(name) != one["ETag"] or not (place / name).exists():
            aside = place / f".{name}.part"
            with aws_errors("s3", "GetObject"):
                s3.download_file(bucket, one["Key"], str(aside))
            aside.replace(place / name)
            known[name] = one["ETag"]
    for path in place.iterdir():
        if path.name != ETAGS and path.name not in names.values():
            path.unlink()
    memory.write_text(json.dumps({name: known[name] for name in names.values()}))
    return place


def _objects(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    with aws_errors("s3", "ListObjectsV2"):
        objects = [
            one
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for one in page.get("Contents", [])
            if one["Key"].lower().endswith(SUFFIXES)
        ]
    if len(objects) > MAX_FILES or sum(one["Size"] for one in objects) > MAX_BUCKET_BYTES:
        raise MetricsError(
            f"There are more than {MAX_FILES:,} files or {MAX_BUCKET_BYTES >> 30} GB under "
            f"{prefix or 'the bucket'}: narrow the prefix, or query them with Athena."
        )
    return objects


def _name(key: str) -> str:
    suffix = next(suffix for suffix in SUFFIXES[::-1] if key.lower().endswith(suffix))
    return hashlib.sha256(key.encode()).hexdigest()[:32] + suffix
