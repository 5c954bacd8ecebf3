"""The Kendra adapter over real boto3, against a small Kendra that reads every document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lib.aws import AccessDenied, Aws, NotFound
from lib.search.kendra import ANONYMOUS, KendraSearch, Limits, request_code
from lib.search.model import (
    And,
    AnyOf,
    Document,
    FacetRequest,
    Filter,
    HistogramRequest,
    Not,
    Or,
    Principals,
    QueryError,
    Range,
    SearchEngine,
    SearchRequest,
    SearchResponse,
    Sort,
    Words,
)
from lib.settings import Settings
from tests.aws.double import LOADER, AwsDouble, WireError
from tests.aws.fixtures import ACCESS_KEY, REGION, aws_double, aws_settings, no_aws
from tests.search.contract import (
    DOCUMENTS,
    POST_QUERY,
    SearchEngineContract,
)
from tests.search.kendra_double import INDEX_ID, SmallKendra, serve

__all__ = ["aws_double", "aws_settings", "no_aws"]

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": "a-secret-only-for-tests",
    "AWS_REGION": REGION,
}


@pytest.fixture(scope="module")
def aws() -> Aws:
    """AWS with its client for Kendra made once, which costs more than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda _search_path: LOADER)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        aws = Aws(Settings())
        aws.client("kendra")
        return aws


@pytest.fixture
def kendra(aws_double: AwsDouble, aws: Aws) -> KendraSearch:
    serve(aws_double, SmallKendra(DOCUMENTS))
    return KendraSearch(aws, INDEX_ID)


class TestContract(SearchEngineContract):
    levels = 2
    counts_missing = False
    has_histograms = False
    has_word_modes = False
    takes_every_filter = False
    sorts_every_document = False

    @pytest.fixture
    def engine(self, kendra: KendraSearch) -> SearchEngine:
        return kendra


# ---------------------------------------------------------------------------------- the wire


def test_asks_as_the_post_does(kendra: KendraSearch, aws_double: AwsDouble) -> None:
    chosen = And((AnyOf("Technology", ("Databases",)), AnyOf("Document_Type", ("User_Guides",))))
    facet = FacetRequest(("Technology", "Document_Type"))
    kendra.query(SearchRequest(POST_QUERY, filter=chosen, facets=(facet,)))
    (wire,) = aws_double.called("kendra", "Query")
    assert wire == {
        "IndexId": INDEX_ID,
        "QueryText": POST_QUERY,
        "QueryResultTypeFilter": "DOCUMENT",
        "UserContext": {"UserId": ANONYMOUS},
        "AttributeFilter": {
            "AndAllFilters": [
                {"EqualsTo": {"Key": "Technology", "Value": {"StringValue": "Databases"}}},
                {"EqualsTo": {"Key": "Document_Type", "Value": {"StringValue": "User_Guides"}}},
            ]
        },
        "PageNumber": 1,
        "PageSize": 10,
        "Facets": [
            {
                "DocumentAttributeKey": "Technology",
                "Facets": [{"DocumentAttributeKey": "Document_Type", "MaxResults": 10}],
                "MaxResults": 10,
            }
        ],
        "SpellCorrectionConfiguration": {"IncludeQuerySpellCheckSuggestions": True},
    }


def test_asks_once_more_for_each_selected_hierarchy(
    kendra: KendraSearch, aws_double: AwsDouble
) -> None:
    facets = (
        FacetRequest(("Technology",), selected=(("Storage",),)),
        FacetRequest(("Region",), selected=(("eu-west-1",),)),
        FacetRequest(("Tags",)),
    )
    kendra.query(SearchRequest("encrypt data", facets=facets))
    storage = {"EqualsTo": {"Key": "Technology", "Value": {"StringValue": "Storage"}}}
    region = {"EqualsTo": {"Key": "Region", "Value": {"StringValue": "eu-west-1"}}}
    asked = {
        wire["Facets"][0]["DocumentAttributeKey"]: wire["AttributeFilter"]
        for wire in aws_double.called("kendra", "Query")
    }
    both = {"AndAllFilters": [storage, region]}
    assert asked == {"Technology": region, "Region": storage, "Tags": both}


REQUESTS = {
    "words": SearchRequest(POST_QUERY, page=2, page_size=5, suggest_spelling=False),
    "nothing": SearchRequest(),
    "dates": SearchRequest(
        "it's a \"test\" \\ 'with' \n lines",
        filter=Range("Published", datetime(2020, 1, 1, tzinfo=UTC)),
        sort=(Sort("Pages", descending=True), Sort("Published")),
        user=Principals(frozenset({"ana"}), frozenset({"staff", "écoles"})),
    ),
    "selections": SearchRequest(
        "data",
        filter=Or((AnyOf("Tags", ("keys", "audit")), Range("Pages", 10, 20, high_included=False))),
        facets=(
            FacetRequest(
                ("Technology", "Document_Type"), selected=(("Storage", "User_Guides"), ("Compute",))
            ),
            FacetRequest(("Published",), selected=(("2021",),)),
            FacetRequest(("Region",)),
        ),
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.usefixtures("aws_settings")
def test_the_code_makes_the_same_calls(
    kendra: KendraSearch, aws_double: AwsDouble, name: str
) -> None:
    kendra.query(REQUESTS[name])
    asked = aws_double.called("kendra", "Query")
    aws_double.calls.clear()
    code = request_code(REQUESTS[name], kendra.attributes(), INDEX_ID, REGION)
    exec(code, {})  # noqa: S102 - whether it runs is the question
    again = aws_double.called("kendra", "Query")
    assert sorted(map(repr, again)) == sorted(map(repr, asked))
    assert max(map(len, code.splitlines())) < 110


def test_the_code_is_what_one_would_write() -> None:
    request = SearchRequest("data", suggest_spelling=False)
    assert request_code(request, (), INDEX_ID, REGION) == (
        "import boto3\n\n"
        "kendra = boto3.client(\"kendra\", region_name='us-east-1')\n\n"
        "response = kendra.query(\n"
        f"    IndexId='{INDEX_ID}',\n"
        "    QueryText='data',\n"
        "    QueryResultTypeFilter='DOCUMENT',\n"
        f"    UserContext={{'UserId': '{ANONYMOUS}'}},\n"
        "    PageNumber=1,\n"
        "    PageSize=10,\n"
        ")\n"
    )


# -------------------------------------------------------------------------------- the limits


def values(attribute: str, count: int) -> AnyOf:
    return AnyOf(attribute, tuple(f"value {number}" for number in range(count)))


FITTING: dict[str, Filter] = {
    "25 values": values("Technology", 25),
    "100 values": values("Technology", 100),
    "ten paths": Or(
        tuple(And((AnyOf("Technology", (f"t{n}",)), AnyOf("Region", ("r",)))) for n in range(10))
    ),
    "one outer value, nine inner": Or(
        tuple(And((AnyOf("Technology", ("t",)), AnyOf("Region", (f"r{n}",)))) for n in range(9))
    ),
    "one outer value among others": And(
        (
            Or(
                tuple(
                    And((AnyOf("Technology", ("t",)), AnyOf("Region", (f"r{n}",))))
                    for n in range(6)
                )
            ),
            values("Document_Type", 3),
        )
    ),
    "two hierarchies": And(
        (
            Or((And((AnyOf("Technology", ("a",)), AnyOf("Tags", ("b",)))), AnyOf("Pages", (1,)))),
            Or((AnyOf("Region", ("x",)), AnyOf("Region", ("y",)))),
        )
    ),
}
UNFITTING: dict[str, Filter] = {
    "101 values": values("Technology", 101),
    "11 values and more": And((values("Technology", 11), values("Region", 2))),
    "many paths in two hierarchies": And(
        (
            Or(
                tuple(
                    And((AnyOf("Technology", (f"t{n}",)), AnyOf("Region", (f"r{n}",))))
                    for n in range(6)
                )
            ),
            values("Document_Type", 3),
        )
    ),
    "not within two levels": And(
        (
            Or((Not(AnyOf("Technology", ("a",))), AnyOf("Region", ("b",)))),
            Or((Not(AnyOf("Document_Type", ("c",))), AnyOf("Pages", (1,)))),
        )
    ),
    "no values": AnyOf("Technology", ()),
    "no bounds": Range("Pages"),
    "twelve paths": Or(
        tuple(
            And((AnyOf("Technology", (f"t{n}",)), AnyOf("Region", (f"r{n}",)))) for n in range(12)
        )
    ),
    "paths beyond counting": Or(
        tuple(And(tuple(AnyOf("Region", (f"{n}-{m}",)) for m in range(9))) for n in range(12))
    ),
}


@pytest.mark.parametrize("name", FITTING)
def test_rewrites_a_filter_until_kendra_takes_it(kendra: KendraSearch, name: str) -> None:
    assert kendra.query(SearchRequest("data", filter=FITTING[name])).total == 0


@pytest.mark.parametrize("name", UNFITTING)
def test_refuses_a_filter_that_kendra_would(
    kendra: KendraSearch, aws_double: AwsDouble, name: str
) -> None:
    with pytest.raises(QueryError, match=r"\.$"):
        kendra.query(SearchRequest("data", filter=UNFITTING[name]))
    assert aws_double.called("kendra", "Query") == []


def notes_of(kendra: KendraSearch, request: SearchRequest) -> str:
    return " ".join(kendra.query(request).notes)


@pytest.mark.parametrize(
    ("request_", "note"),
    [
        (SearchRequest("data", words=Words.ALL), "how many of the words"),
        (SearchRequest("dara~"), "no fuzzy words"),
        (SearchRequest("data " * 31), "first 30 words"),
        (SearchRequest("data", page_size=101), "first 100 results"),
        (SearchRequest("data", rerank=True), "not re-ranked"),
        (SearchRequest("data", histograms=(HistogramRequest("Pages", 1),)), "“Pages” was left out"),
        (SearchRequest(), "newest documents first"),
        (SearchRequest("data", sort=(Sort("Pages"),)), "documents without it"),
        (
            SearchRequest(
                "data", sort=tuple(map(Sort, ["Pages", "Region", "Technology", "Published"]))
            ),
            "up to 3 attributes: “Published”",
        ),
        (
            SearchRequest("data", facets=(FacetRequest(("Technology", "Region", "Tags")),)),
            "“Tags” within Technology > Region was left out",
        ),
    ],
)
def test_says_what_is_left_out(kendra: KendraSearch, request_: SearchRequest, note: str) -> None:
    assert note in notes_of(kendra, request_)


def test_has_no_notes_without_a_reason(kendra: KendraSearch) -> None:
    facet = FacetRequest(("Technology", "Document_Type"))
    assert kendra.query(SearchRequest(POST_QUERY, facets=(facet,))).notes == ()


@pytest.fixture
def crowded(aws_double: AwsDouble, aws: Aws) -> KendraSearch:
    """Value n of 25 has 25 - n documents; each has one of two document types."""
    serve(aws_double, SmallKendra(crowd()))
    return KendraSearch(aws, INDEX_ID)


def crowd() -> tuple[Document, ...]:
    return tuple(
        Document(
            f"{value}-{n}",
            "Data",
            "Data",
            attributes={"Region": f"region-{value:02}", "Document_Type": "AB"[n % 2]},
        )
        for value in range(25)
        for n in range(25 - value)
    )


def test_shows_the_values_that_kendra_lists(crowded: KendraSearch) -> None:
    facet = FacetRequest(("Region",), top=20)
    response = crowded.query(SearchRequest("data", facets=(facet,)))
    assert [node.count for node in response.facets[0].nodes] == list(range(25, 15, -1))
    assert not response.facets[0].exact
    assert "up to 10 values" in response.notes[0]


def test_tells_where_inner_values_are_left_out(crowded: KendraSearch) -> None:
    facet = FacetRequest(("Document_Type", "Region"))
    response = crowded.query(SearchRequest("data", facets=(facet,)))
    assert [node.count for node in response.facets[0].nodes] == [169, 156]
    assert [len(node.children) for node in response.facets[0].nodes] == [10, 10]
    assert not response.facets[0].exact
    assert "up to 10 values at each level" in response.notes[0]


def test_lists_as_many_values_as_the_index_allows(aws_double: AwsDouble, aws: Aws) -> None:
    limits = Limits(facet_values=100, facet_levels=3)
    serve(aws_double, SmallKendra(crowd(), limits))
    engine = KendraSearch(aws, INDEX_ID, limits)
    facet = FacetRequest(("Region", "Document_Type", "Tags"), top=None)
    response = engine.query(SearchRequest("data", facets=(facet,)))
    assert len(response.facets[0].nodes) == 25
    assert response.facets[0].attributes == facet.attributes
    assert response.facets[0].exact
    assert response.notes == ()


def test_counts_selected_values_that_kendra_does_not_list(crowded: KendraSearch) -> None:
    facet = FacetRequest(
        ("Region", "Document_Type"),
        selected=(("region-20", "A"), ("region-23",), ("region-00", "B"), ("region-99", "A")),
    )
    response = crowded.query(SearchRequest("data", facets=(facet,)))
    counts = {node.value: node for node in response.facets[0].nodes}
    assert response.total == 3 + 2 + 12
    assert (counts["region-20"].count, counts["region-23"].count) == (5, 2)
    assert [(child.value, child.count) for child in counts["region-20"].children] == [("A", 3)]
    assert [child.count for child in counts["region-00"].children] == [13, 12]
    assert counts["region-99"].count == 0


def test_counts_two_hierarchies_that_begin_alike(kendra: KendraSearch) -> None:
    facets = (FacetRequest(("Technology",)), FacetRequest(("Technology", "Document_Type")))
    flat, nested = kendra.query(SearchRequest(POST_QUERY, facets=facets)).facets
    assert [node.count for node in flat.nodes] == [23, 22, 16]
    assert all(not node.children for node in flat.nodes)
    assert [node.count for node in nested.nodes[0].children] == [12, 7, 4]


def pages(kendra: KendraSearch, size: int, numbers: Iterable[int]) -> list[SearchResponse]:
    return [kendra.query(SearchRequest("data", page=n, page_size=size)) for n in numbers]


def test_shows_no_more_than_a_hundred_results(crowded: KendraSearch, aws_double: AwsDouble) -> None:
    responses = pages(crowded, 60, [1, 2, 3])
    asked = aws_double.called("kendra", "Query")
    assert all((wire["PageNumber"] - 1) * wire["PageSize"] < 100 for wire in asked)
    assert [len(response.hits) for response in responses] == [60, 40, 0]
    assert {response.total for response in responses} == {325}
    assert len(pages(crowded, 500, [1])[0].hits) == 100


# -------------------------------------------------------------------------------- access, errors


def test_always_names_a_user(kendra: KendraSearch, aws_double: AwsDouble) -> None:
    for user in (None, Principals(), Principals(groups=frozenset({"b", "a"}))):
        kendra.query(SearchRequest("data", user=user))
    contexts = [wire["UserContext"] for wire in aws_double.called("kendra", "Query")]
    assert contexts == [
        {"UserId": ANONYMOUS},
        {"UserId": ANONYMOUS},
        {"UserId": ANONYMOUS, "Groups": ["a", "b"]},
    ]


def test_answers_for_one_user_at_a_time(kendra: KendraSearch) -> None:
    with pytest.raises(QueryError, match="one user at a time"):
        kendra.query(SearchRequest("data", user=Principals(frozenset({"ana", "bob"}))))


def test_refuses_what_the_api_would(kendra: KendraSearch, aws_double: AwsDouble) -> None:
    with pytest.raises(QueryError, match="AWS takes"):
        kendra.query(SearchRequest("data", filter=AnyOf("Region", ("x" * 2049,))))
    assert aws_double.called("kendra", "Query") == []


@pytest.mark.parametrize("selected", [("Region", None), ("Pages", "many"), ("Published", "10000")])
def test_refuses_values_that_cannot_be_selected(
    kendra: KendraSearch, selected: tuple[str, str | None]
) -> None:
    name, label = selected
    facet = FacetRequest((name,), selected=((label,),))
    with pytest.raises(QueryError, match=f"“{name}”"):
        kendra.query(SearchRequest("data", facets=(facet,)))


def test_says_what_the_index_lacks(aws_double: AwsDouble, aws: Aws) -> None:
    serve(aws_double, replace(SmallKendra(DOCUMENTS), sortable=frozenset()))
    engine = KendraSearch(aws, INDEX_ID)
    with pytest.raises(QueryError, match="Make it sortable"):
        engine.query(SearchRequest("data", sort=(Sort("Pages"),)))
    with pytest.raises(QueryError, match="Make it facetable"):
        engine.query(SearchRequest("data", facets=(FacetRequest(("_source_uri",)),)))
    assert "_source_uri" not in {attribute.name for attribute in engine.attributes()}


def test_does_not_browse_an_index_without_facets(aws_double: AwsDouble, aws: Aws) -> None:
    aws_double.on("kendra", "DescribeIndex", {"Id": INDEX_ID})
    with pytest.raises(QueryError, match="does not list all documents"):
        KendraSearch(aws, INDEX_ID).query(SearchRequest())


def test_says_which_permission_is_missing(kendra: KendraSearch, aws_double: AwsDouble) -> None:
    aws_double.fail("kendra", "Query", WireError("AccessDeniedException", "No."))
    with pytest.raises(AccessDenied) as refused:
        kendra.query(SearchRequest("data"))
    assert refused.value.permission == "kendra:Query"


def test_says_that_there_is_no_such_index(aws_double: AwsDouble, aws: Aws) -> None:
    serve(aws_double, SmallKendra(DOCUMENTS))
    with pytest.raises(NotFound, match="DescribeIndex"):
        KendraSearch(aws, INDEX_ID[::-1]).attributes()


def test_proposes_no_spelling_that_finds_no_more(
    kendra: KendraSearch, aws_double: AwsDouble
) -> None:
    spelling = {"SpellCorrectedQueries": [{"SuggestedQueryText": "date"}]}
    aws_double.on("kendra", "Query", {"TotalNumberOfResults": 7, **spelling})
    assert kendra.query(SearchRequest("data")).correction is None


def test_completes_nothing_that_kendra_would_refuse(
    kendra: KendraSearch, aws_double: AwsDouble
) -> None:
    assert [kendra.suggest(prefix) for prefix in ("", " s ", "sto\x00")] == [(), (), ()]
    assert aws_double.called("kendra", "GetQuerySuggestions") == []


def test_passes_on_warnings(kendra: KendraSearch, aws_double: AwsDouble) -> None:
    warning = {"Message": "The query was not understood.", "Code": "QUERY_LANGUAGE_INVALID_SYNTAX"}
    aws_double.on(
        "kendra", "Query", {"TotalNumberOfResults": 0, "ResultItems": [], "Warnings": [warning]}
    )
    assert kendra.query(SearchRequest("data AND")).notes == ("The query was not understood.",)


def test_drops_highlights_outside_their_text(kendra: KendraSearch, aws_double: AwsDouble) -> None:
    highlights = [(0, 4), (2, 99), (5, 5), (-1, 2)]
    text = {
        "Text": "data here",
        "Highlights": [{"BeginOffset": start, "EndOffset": end} for start, end in highlights],
    }
    item = {"DocumentId": "x", "DocumentExcerpt": text}
    aws_double.on("kendra", "Query", {"TotalNumberOfResults": 1, "ResultItems": [item]})
    (hit,) = kendra.query(SearchRequest("data")).hits
    assert [(span.start, span.end) for span in hit.excerpt_highlights] == [(0, 4), (2, 9)]
    assert (hit.title, hit.uri, hit.score) == ("", "", 0.0)


def test_the_double_refuses_what_kendra_refuses(aws_double: AwsDouble, aws: Aws) -> None:
    serve(aws_double, SmallKendra(DOCUMENTS))
    client = aws.client("kendra")
    leaf = {"EqualsTo": {"Key": "Region", "Value": {"StringValue": "x"}}}
    asked = {"IndexId": INDEX_ID, "QueryText": "data", "UserContext": {"UserId": "ana"}}
    deep = {"AndAllFilters": [{"OrAllFilters": [{"NotFilter": leaf}]}]}
    for wanted, message in [
        (deep, "a depth of more than 2."),
        ({"OrAllFilters": [leaf] * 11}, "10"),
    ]:
        with pytest.raises(client.exceptions.ValidationException, match=re.escape(message)):
            client.query(**asked, AttributeFilter=wanted)
    with pytest.raises(client.exceptions.ValidationException, match="sorting type"):
        client.query(IndexId=INDEX_ID, UserContext={"UserId": "ana"})
    assert client.query(**asked)["TotalNumberOfResults"] == 64  # with the passage
