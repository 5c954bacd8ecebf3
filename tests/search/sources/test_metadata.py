from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.search.model import Access, Principals
from lib.search.sources.metadata import (
    MAX_BYTES,
    Metadata,
    MetadataError,
    parse_date,
    parse_metadata,
)


def parse(**fields: Any) -> Metadata:
    return parse_metadata(json.dumps(fields).encode())


def test_a_file_after_the_template_of_kendra_is_followed() -> None:
    metadata = parse(
        DocumentId="handbook",
        Attributes={
            "_category": "Manuals",
            "_created_at": "2026-03-25T12:30:10+01:00",
            "_last_updated_at": "2026-04-01",
            "_source_uri": "https://example.com/handbook.pdf",
            "_version": "2",
            "_view_count": 7,
            "Technology": ["Storage", "Compute", "Storage"],
            "released": "2025-01-31",
            "Document_Type": "User_Guides",
        },
        AccessControlList=[
            {"Name": "alice", "Type": "USER", "Access": "ALLOW"},
            {"Name": "finance", "Type": "GROUP", "Access": "ALLOW"},
            {"Name": "mallory", "Type": "USER", "Access": "DENY"},
        ],
        Title="The handbook",
        ContentType="PDF",
    )
    assert metadata == Metadata(
        document_id="handbook",
        title="The handbook",
        content_type="PDF",
        uri="https://example.com/handbook.pdf",
        attributes={
            "_category": "Manuals",
            "_created_at": datetime(2026, 3, 25, 11, 30, 10, tzinfo=UTC),
            "_last_updated_at": datetime(2026, 4, 1, tzinfo=UTC),
            "_version": "2",
            "_view_count": 7,
            "Technology": ("Storage", "Compute"),
            "released": datetime(2025, 1, 31, tzinfo=UTC),
            "Document_Type": "User_Guides",
        },
        access=Access(
            allowed=Principals(frozenset({"alice"}), frozenset({"finance"})),
            denied=Principals(frozenset({"mallory"})),
        ),
    )


def test_users_are_named_in_any_case_and_groups_as_they_are_written() -> None:
    metadata = parse(
        AccessControlList=[
            {"Name": "Ann@x.org", "Type": "USER", "Access": "DENY"},
            {"Name": "STRASSE", "Type": "USER", "Access": "ALLOW"},
            {"Name": "Finance", "Type": "GROUP", "Access": "ALLOW"},
        ]
    )
    assert metadata.access.denied.users == {"ann@x.org"}
    assert metadata.access.allowed == Principals(frozenset({"strasse"}), frozenset({"Finance"}))


def test_everything_is_optional() -> None:
    assert parse() == Metadata()
    assert parse(Title=None, Attributes=None, AccessControlList=None) == Metadata()
    assert parse_metadata(b"\xef\xbb\xbf{}") == Metadata()


def test_empty_values_are_none() -> None:
    assert (
        parse(Attributes={"a": "", "b": [], "c": None, "d": " ", "_created_at": ""}) == Metadata()
    )


@pytest.mark.parametrize(
    ("value", "read"),
    [(True, "true"), (2.5, "2.5"), (0, 0), ("12", "12"), ("2026-02-30", "2026-02-30")],
)
def test_values_take_the_type_they_show(value: Any, read: Any) -> None:
    metadata = parse(Attributes={"a": value})
    assert metadata.attributes == {"a": read}
    assert type(metadata.attributes["a"]) is type(read)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON.*line 1"),
        (b"[]", "JSON object"),
        (b'{"Title": "\xff"}', "UTF-8"),
        (b'{"Attributes": {"a": NaN}}', "NaN"),
        (b'{"Attributes": {"a": ' + b"9" * 5_000 + b"}}", "number"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (MAX_BYTES + 1), "bytes"),
    ],
)
def test_what_is_no_metadata_is_refused_with_a_sentence(content: bytes, reason: str) -> None:
    with pytest.raises(MetadataError, match=reason) as refused:
        parse_metadata(content)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Title": 5}, "Title must be"),
        ({"DocumentId": ["a"]}, "DocumentId must be"),
        ({"Attributes": []}, "Attributes must be"),
        ({"Attributes": {"a b": "c"}}, "'a b' cannot be"),
        ({"Attributes": {"-a": "c"}}, "cannot be"),
        ({"Attributes": {"": "c"}}, "cannot be"),
        ({"Attributes": {"a" * 201: "c"}}, "cannot be"),
        ({"Attributes": {"a": {"b": 1}}}, "Attribute a must be"),
        ({"Attributes": {"a": [1]}}, "list of texts"),
        ({"Attributes": {"a": 2**63}}, "64 bits"),
        ({"Attributes": {"a": "x" * 3000}}, "2,048 characters"),
        ({"Attributes": {"_created_at": "yesterday"}}, "ISO 8601"),
        ({"Attributes": {"_last_updated_at": 5}}, "ISO 8601"),
        ({"Attributes": {"_source_uri": "javascript:alert(1)"}}, "_source_uri"),
        ({"Attributes": {"_source_uri": 7}}, "_source_uri"),
        ({"Attributes": {"_source_uri": "http://["}}, "_source_uri"),
        ({"AccessControlList": {}}, "must be a list"),
        ({"AccessControlList": ["alice"]}, "Each entry"),
        ({"AccessControlList": [{"Name": "a", "Type": "GROUP", "Access": "DENY"}]}, "to a group"),
        ({"AccessControlList": [{"Name": "alice", "Type": "USER"}]}, "Each entry"),
        ({"AccessControlList": [{"Name": "", "Type": "USER", "Access": "ALLOW"}]}, "Each entry"),
        ({"AccessControlList": [{"Name": "a", "Type": [], "Access": "ALLOW"}]}, "Each entry"),
        ({"AccessControlList": [{"Name": "a", "Type": "ROLE", "Access": "ALLOW"}]}, "Each entry"),
    ],
)
def test_wrong_fields_are_refused_with_a_sentence(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(MetadataError, match=reason) as refused:
        parse(**fields)
    assert str(refused.value).endswith(".")


offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1000, 1, 2), datetime(9000, 1, 1), timezones=offsets))  # noqa: DTZ001 - gets one
def test_every_iso_date_is_the_moment_it_names(moment: datetime) -> None:
    assert parse_date(moment.isoformat()) == moment


@pytest.mark.parametrize(
    "text",
    ["2026", "20260325", "2026-W01-1", "2026-3-5", "12:30", "2026-03-25 noon", "v2026-01-01"],
)
def test_what_is_no_full_date_is_none(text: str) -> None:
    assert parse_date(text) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


FIELDS = ("DocumentId", "Attributes", "Title", "ContentType", "AccessControlList")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, json_values)))
def test_any_json_is_followed_or_refused(fields: dict[str, Any]) -> None:
    with suppress(MetadataError):
        assert isinstance(parse(**fields), Metadata)
