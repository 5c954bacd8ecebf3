from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from lib.recommender.exports import as_csv, as_described
from lib.recommender.model import Metrics, Origin
from lib.recommender.tables import read_table

amounts = st.none() | st.floats(0, 50_000, allow_nan=False)
names = st.sampled_from(["ml.c5.xlarge", "ml.m5.large", "serverless 2048 MB, 5 at once"])
words = st.text("ABCXYZ_", min_size=1, max_size=8)
rows = st.builds(
    Metrics,
    names,
    st.just(Origin.IMPORTED),
    amounts,
    amounts,
    amounts,
    amounts,
    amounts,
    amounts,
    amounts,
    environment=st.lists(st.tuples(words, words), max_size=2).map(tuple),
)


@given(st.lists(rows, min_size=1, max_size=4))
def test_json_and_csv_come_back_as_they_went(found: list[Metrics]) -> None:
    assert list(read_table(as_described(found, "j").encode()).rows) == found
    assert list(read_table(as_csv(found).encode()).rows) == found


def test_a_local_configuration_is_never_an_instance_type() -> None:
    data = json.loads(as_described([Metrics("torch fp32", Origin.LOCAL)], "j"))
    [one] = data["InferenceRecommendations"]
    assert one["EndpointConfiguration"] == {"VariantName": "torch fp32"}
    assert one["Metrics"] == {}
