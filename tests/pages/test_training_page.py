from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from lib.settings import settings
from lib.training.runs import SAMPLES, runs
from lib.training.workload import train_both
from lib.ui import resources
from lib.ui.pages import TRAINING
from tests.pages.conftest import visit


def show(view: str = "Verdict", **state: object) -> AppTest:
    return visit(TRAINING, training_view=view, **state)


def words(app: AppTest) -> str:
    shown = [*(one.value for one in app.markdown), *(one.value for one in app.caption)]
    return "\n".join(shown).replace("\\", "")


def table(app: AppTest, column: str) -> Any:
    return next(one.value for one in app.dataframe if column in one.value)


def test_it_opens_with_a_verdict_on_a_recorded_run() -> None:
    app = show()
    assert not app.exception
    assert ":orange-badge[data]" in words(app)
    assert "Of 38 steps: data 58%" in words(app)
    assert "more loader workers" in words(app)
    assert app.metric[0].label == "Node hours paid"
    assert {one.proto.label for one in app.get("download_button")} >= {
        "Report", "Parquet", "Trace for Perfetto"
    }  # fmt: skip


def test_a_straggler_is_named_and_what_cannot_tell_says_so() -> None:
    app = show(training_run="sample-ddp_straggler")
    assert "comes last in" in words(app)
    assert "Look at algo-1 " in words(app)
    app = show(training_run="sample-pp")
    assert "not enough data" in words(app)
    assert "Record steps" in words(app)
    assert not app.exception


def test_prices_make_money_of_hours() -> None:
    app = show(training_instance="ml.g5.xlarge")
    assert not app.exception
    assert "an hour, 2024" in words(app)
    costs = {one.label: one.value for one in app.metric}
    assert costs["Cost"] == f"${28.1 / 3_600 * 1.4084:,.4f}"


def test_metrics_over_time_and_rules_are_drawn() -> None:
    app = show("Timeline")
    assert not app.exception
    app.radio(key="training_metric").set_value("Disk").run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 3
    app = show("Rules")
    found = table(app, "rule").set_index("rule")
    assert found.loc["StepOutlier", "state"] == "fired"
    assert found.loc["BatchSize", "words"] == "No accelerator was measured."
    assert not app.exception


def test_two_runs_are_compared_and_one_with_itself_is_not() -> None:
    app = show("Compare")
    assert "it is faster, most of all in data" in words(app)
    app.selectbox(key="training_candidate").set_value("sample-single_slow").run()
    assert "two different runs" in app.info[0].value
    app.selectbox(key="training_candidate").set_value("sample-pp").run()
    assert "pp has 0 steps" in app.warning[0].value.replace("\\", "")
    assert not app.exception


def test_a_run_is_brought_in_judged_and_deleted(tmp_path: Path) -> None:
    app = show("Runs")
    content = (SAMPLES / "single.zip").read_bytes()
    app.file_uploader(key="training_upload").upload("mine.zip", content, "application/zip").run()
    app.button(key="training_keep").click().run()
    assert runs(settings())[0].id == "mine.zip"
    app = show(training_run="mine.zip")
    assert ":green-badge[compute]" in words(app)
    app = show("Runs")
    app.button(key="training_delete_mine.zip").click().run()
    assert runs(settings())[0].is_sample
    empty = tmp_path / "none.zip"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("notes.txt", "x")
    app = show("Runs")
    app.file_uploader(key="training_upload").upload(
        "none.zip", empty.read_bytes(), "application/zip"
    ).run()
    app.button(key="training_keep").click().run()
    app = show(training_run="none.zip")
    assert "none is a profile" in app.error[0].value.replace("\\", "")
    assert not app.exception


def test_a_run_of_now_is_a_job() -> None:
    app = show("Runs")
    app.button(key="training_now").click().run()
    job = next(one for one in resources.jobs().recent() if one.function == train_both.name)
    assert job.title == "Train a tiny GPT here"
    assert "AWS is not connected" in words(app)
    assert not app.exception
