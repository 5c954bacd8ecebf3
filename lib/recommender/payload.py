"""Sample payloads for Inference Recommender: JSON files in a payload.tar.gz."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence

MOST_SAMPLES = 1_000
MOST_BYTES = 6_291_456  # of one request to an endpoint


class PayloadError(ValueError):
    """Samples that no endpoint takes; the message says which and why."""


def samples_of_texts(texts: Sequence[str], parameters: str = "") -> tuple[bytes, ...]:
    """Return a request in Hugging Face's form for each text: {"inputs": ..., "parameters": ...}.

    `parameters` is a JSON object or empty. Raises `PayloadError`.
    """
    more = {}
    if parameters.strip():
        more = {"parameters": _object(parameters, "The parameters are")}
    found = [
        json.dumps({"inputs": text.strip(), **more}, ensure_ascii=False).encode()
        for text in texts
        if text.strip()
    ]
    return _checked(found)


def samples_of_lines(text: str) -> tuple[bytes, ...]:
    """Return a request for each line, which has to be JSON. Raises `PayloadError` with the line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                _parsed(line)
            except ValueError as error:
                raise PayloadError(
                    f"Line {number} is no JSON ({error}). Write one request a line, such as "
                    '{"inputs": "..."}.'
                ) from error
            found.append(line.strip().encode())
    return _checked(found)


def pack(samples: Sequence[bytes]) -> bytes:
    """Return payload.tar.gz of the samples; the same samples give the same bytes."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for number, sample in enumerate(samples, start=1):
            member = tarfile.TarInfo(f"sample-{number:04d}.json")
            member.size = len(sample)
            archive.addfile(member, io.BytesIO(sample))
    return out.getvalue()


def _checked(samples: Sequence[bytes]) -> tuple[bytes, ...]:
    if not samples:
        raise PayloadError("There is no sample: paste at least one text.")
    if len(samples) > MOST_SAMPLES:
        raise PayloadError(
            f"There are {len(samples):,} samples; {MOST_SAMPLES:,} are the most that are packed."
        )
    for number, sample in enumerate(samples, start=1):
        if len(sample) > MOST_BYTES:
            raise PayloadError(
                f"Sample {number} has {len(sample):,} bytes; an endpoint takes {MOST_BYTES:,}."
            )
    return tuple(samples)


def _parsed(text: str) -> object:
    """Return what JSON says; raise ValueError for NaN and for depths that Python alone has."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"JSON knows no {name}")


def _object(text: str, what: str) -> dict[str, object]:
    try:
        found = _parsed(text)
    except ValueError as error:
        raise PayloadError(f"{what} no JSON ({error}).") from error
    if not isinstance(found, dict):
        raise PayloadError(f'{what} no JSON object such as {{"max_length": 60}}.')
    return found
