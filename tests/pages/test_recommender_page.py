from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lib.prices import prices
from lib.recommender.kept import kept_tables, sample_tables
from lib.recommender.load_test import load_test
from lib.settings import settings
from lib.ui import resources
from lib.ui.pages import RECOMMENDER
from tests.pages.conftest import visit

AWS = "sample-aws-1"


def show(view: str = "Choose", **state: object) -> AppTest:
    return visit(RECOMMENDER, recommender_view=view, **state)


def words(app: AppTest) -> str:
    shown = [*(one.value for one in app.markdown), *(one.value for one in app.caption)]
    return "\n".join(shown).replace("\\", "")


def table(app: AppTest, column: str) -> Any:
    return next(one.value for one in app.dataframe if column in one.value)


def test_it_opens_with_a_recommendation_on_real_rows() -> None:
    app = show(recommender_tables=[AWS])
    assert not app.exception
    assert "ml.m5.large: 2 instances for $168 a month carry 600 invocations" in words(app)
    assert "Its price may rise by" in words(app)
    offers = table(app, "monthly")
    assert offers.iloc[0]["configuration"] == "ml.m5.large"


def test_needs_change_the_choice_and_what_fits_none_is_said() -> None:
    app = show(recommender_tables=[AWS])
    app.number_input(key="recommender_latency").set_value(200).run()
    assert "ml.inf1.xlarge: 2 instances" in words(app)
    app.number_input(key="recommender_budget").set_value(100).run()
    assert "None of 3 configurations meets all needs" in words(app)
    assert "Nothing fits" in words(app)


def test_local_rows_are_priced_by_the_user_and_compared_at_a_percentile() -> None:
    app = show(recommender_tables=["sample-local"])
    assert not app.exception
    assert "onnxruntime int8" in words(app)
    app.selectbox(key="recommender_at").set_value("p95").run()
    app.number_input(key="recommender_quality").set_value(100).run()
    offers = table(app, "fits")
    fits = offers[offers["fits"] == "yes"]["configuration"]
    assert len(fits)
    assert not any("int8" in one for one in fits)


def test_rows_of_several_tables_are_filtered_and_shown_with_their_columns() -> None:
    app = show("Table", recommender_tables=[AWS, "sample-local"])
    assert not app.exception
    whole = len(table(app, "Configuration"))
    assert whole == 3 + len(sample_tables()[0].rows)
    app.text_input(key="recommender_filter").set_value("onnxruntime INT8").run()
    found = table(app, "Configuration")
    assert 0 < len(found) < whole
    assert "p99" in found
    app.text_input(key="recommender_filter").set_value("abacus").run()
    assert "No row has these words" in app.info[0].value


JOB = {
    "JobName": "j",
    "InferenceRecommendations": [
        {
            "Metrics": {"CostPerHour": 0.23, "CostPerInference": 5.2e-5, "MaxInvocations": 500},
            "EndpointConfiguration": {"InstanceType": "ml.m5.xlarge"},
        }
    ],
}


def upload(app: AppTest, content: bytes) -> AppTest:
    app.file_uploader(key="recommender_upload").upload(
        "job.json", content, "application/json"
    ).run()
    return app


def test_a_file_is_looked_at_kept_and_deleted() -> None:
    app = upload(show("Import"), json.dumps(JOB).encode())
    assert "is not CostPerHour / (60 × MaxInvocations)" in app.warning[0].value.replace("\\", "")
    app.button(key="recommender_keep").click().run()
    [kept] = kept_tables(settings())
    assert kept.name == "job"
    assert "is kept: choose it" in app.success[0].value
    app.button(key=f"recommender_delete_{kept.id}").click().run()
    assert kept_tables(settings()) == ()
    assert not app.exception


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "begins like JSON but is not"),
        (json.dumps({"JobName": "j", "Status": "FAILED", "FailureReason": "No image."}).encode(),
         "The job failed: No image."),
        (json.dumps({"JobName": "j", "Status": "IN_PROGRESS"}).encode(), "IN_PROGRESS and has no"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused_with_a_sentence(content: bytes, said: str) -> None:
    app = upload(show("Import"), content)
    assert said in app.error[0].value.replace("\\", "")


def test_a_load_test_is_planned_and_started() -> None:
    app = show("Run here")
    assert not app.exception
    assert "2 configurations, about" in words(app)
    app.multiselect(key="recommender_run_pairs").set_value(["torch fp32"]).run()
    app.multiselect(key="recommender_run_batches").set_value([1, 8]).run()
    app.button(key="recommender_run_start").click().run()
    job = next(one for one in resources.jobs().recent() if one.function == load_test.name)
    assert job.title == "Load test of Embedding model all-MiniLM-L6-v2"
    assert not app.exception
    app.multiselect(key="recommender_run_pairs").set_value([]).run()
    assert "at least one configuration" in app.warning[0].value


def test_without_aws_a_job_is_planned_with_its_cost_and_cannot_start() -> None:
    app = show("AWS")
    assert "AWS is not connected" in words(app)
    app.text_input(key="recommender_aws_uri").set_value("s3://my-bucket/model.tar.gz")
    app.text_input(key="recommender_aws_image").set_value("1.dkr.ecr.us-east-1.amazonaws.com/x:1")
    app.text_input(key="recommender_aws_bucket").set_value("my-bucket")
    role = "arn:aws:iam::123456789012:role/sagemaker"
    app.text_input(key="recommender_aws_role").set_value(role).run()
    assert not app.exception
    assert "About $" in words(app)
    assert app.button(key="recommender_aws_start").disabled
    app.radio(key="recommender_aws_type").set_value("Advanced").run()
    app.text_input(key="recommender_aws_ranges").set_value("OMP_NUM_THREADS").run()
    assert "is no variable" in app.warning[0].value.replace("\\", "")
    app.text_input(key="recommender_aws_ranges").set_value("OMP_NUM_THREADS=1,2").run()
    assert not app.warning
    app.text_area(key="recommender_aws_samples").set_value(" ").run()
    assert "no sample" in app.warning[0].value


def test_prices_are_shown_with_their_date() -> None:
    app = show("Prices")
    assert not app.exception
    assert "Each row says when" in words(app)
    assert app.button(key="recommender_prices_keep").disabled
    assert len(prices(settings())) > 30
