"""Kendra's metadata files: `report.pdf.metadata.json` describes `report.pdf`.

A metadata file says who may find its document, so one that is wrong, out of reach or gone leaves
the document as it was indexed, also where the document itself has changed. To open a document to
everybody again, replace its metadata file by one that holds `{}`. Where a folder of metadata files
is named and holds none, nothing is indexed. An index that begins anew remembers no metadata files.

https://docs.aws.amazon.com/kendra/latest/dg/s3-metadata.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from lib.search.model import Access, Principals, Value

SUFFIX = ".metadata.json"
MAX_BYTES = 1_000_000
MAX_NAME_CHARACTERS = 200  # of an attribute, as in Kendra
MAX_VALUE_CHARACTERS = 2_048  # of a string value, as in Kendra
MAX_LONG = 2**63 - 1
LINK_SCHEMES = frozenset({"http", "https", "s3"})
DATES = frozenset({"_created_at", "_last_updated_at"})

_ATTRIBUTE = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_-]{{0,{MAX_NAME_CHARACTERS - 1}}}")
_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
)


@dataclass(frozen=True)
class Metadata:
    """What a metadata file says about its document; empty where it says nothing."""

    document_id: str = ""
    title: str = ""
    content_type: str = ""
    uri: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    access: Access = field(default_factory=Access)


class MetadataError(ValueError):
    """A metadata file that cannot be followed; the message is a sentence."""


def parse_metadata(content: bytes) -> Metadata:
    """Return what a metadata file says; raises `MetadataError`.

    Nothing of a wrong file is used: who may see the document is in there too.
    """
    fields = _object(content)
    attributes = _attributes(fields.get("Attributes"))
    uri = attributes.pop("_source_uri", "")
    return Metadata(
        document_id=_string(fields, "DocumentId"),
        title=_string(fields, "Title"),
        content_type=_string(fields, "ContentType").upper(),
        uri=_link(uri) if uri else "",
        attributes=attributes,
        access=_access(fields.get("AccessControlList")),
    )


def parse_date(text: str) -> datetime | None:
    """Return the moment that an ISO 8601 date or time names, in UTC where it names no zone."""
    if not _ISO_8601.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _object(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_BYTES:
        raise MetadataError(f"It has more than {MAX_BYTES:,} bytes.")
    try:
        fields = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise MetadataError("It is not UTF-8: save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"It is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise MetadataError("It is nested too deeply.") from None
    except ValueError as error:  # a number of thousands of digits
        raise MetadataError(f"It holds a number that cannot be read: {error}.") from None
    if not isinstance(fields, dict):
        raise MetadataError('It must be a JSON object such as {"Attributes": {...}}.')
    return fields


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _string(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_VALUE_CHARACTERS:
        raise MetadataError(f"{name} must be a text of up to {MAX_VALUE_CHARACTERS:,} characters.")
    return value.strip()


def _link(uri: Value) -> str:
    # Shown as a link, so nothing that a browser would run.
    try:
        is_link = isinstance(uri, str) and urlsplit(uri).scheme.lower() in LINK_SCHEMES
    except ValueError:  # a bracket that is no part of an IPv6 address
        is_link = False
    if not is_link:
        raise MetadataError("_source_uri must be a link with http, https or s3.")
    return str(uri)


def _attributes(attributes: Any) -> dict[str, Value]:
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise MetadataError("Attributes must be a JSON object.")
    for name in attributes:
        if not _ATTRIBUTE.fullmatch(name):
            raise MetadataError(
                f"{name[:40]!r} cannot be the name of an attribute: use up to "
                f"{MAX_NAME_CHARACTERS} letters, digits, _ and -."
            )
    read = {name: _value(name, value) for name, value in attributes.items()}
    return {name: value for name, value in read.items() if value not in (None, "", ())}


def _value(name: str, value: Any) -> Value | None:
    """Return an attribute's value in the type it shows; what has no type here becomes text."""
    if name in DATES:
        return _date(name, value)
    if isinstance(value, str):
        return parse_date(value) or _text(name, value)
    if isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int):
        if abs(value) > MAX_LONG:
            raise MetadataError(f"Attribute {name} is a number beyond 64 bits.")
        return value
    if isinstance(value, list):
        return tuple(dict.fromkeys(text for item in value if (text := _text(name, item))))
    if value is None:
        return None
    raise MetadataError(
        f"Attribute {name} must be a text, a list of texts, a whole number or a date."
    )


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise MetadataError(f"Attribute {name} must be a list of texts alone.")
    if len(value) > MAX_VALUE_CHARACTERS:
        raise MetadataError(f"Attribute {name} has more than {MAX_VALUE_CHARACTERS:,} characters.")
    return value.strip()


def _date(name: str, value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    moment = parse_date(value) if isinstance(value, str) else None
    if moment is None:
        raise MetadataError(
            f"Attribute {name} must be a date of ISO 8601, such as 2026-03-25T12:30:10+01:00."
        )
    return moment


def _access(entries: Any) -> Access:
    if entries is None:
        return Access()
    if not isinstance(entries, list):
        raise MetadataError("AccessControlList must be a list.")
    named: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        name, kind, access = _entry(entry)
        named.setdefault((access, kind), set()).add(name)
    return Access(allowed=_principals(named, "ALLOW"), denied=_principals(named, "DENY"))


def _entry(entry: Any) -> tuple[str, str, str]:
    if isinstance(entry, dict):
        name, kind, access = (entry.get(key) for key in ("Name", "Type", "Access"))
        is_named = isinstance(name, str) and name.strip()
        if is_named and kind in ("USER", "GROUP") and access in ("ALLOW", "DENY"):
            if (kind, access) == ("GROUP", "DENY"):  # users have no groups here: nobody is denied
                raise MetadataError(
                    "AccessControlList denies the document to a group, and nobody's groups are "
                    "known here: name the users instead."
                )
            name = str(name).strip()
            return name.casefold() if kind == "USER" else name, str(kind), str(access)
    raise MetadataError(
        'Each entry of AccessControlList must be like {"Name": "alice", "Type": "USER or GROUP", '
        '"Access": "ALLOW or DENY"}.'
    )


def _principals(named: Mapping[tuple[str, str], set[str]], access: str) -> Principals:
    return Principals(
        users=frozenset(named.get((access, "USER"), ())),
        groups=frozenset(named.get((access, "GROUP"), ())),
    )
