from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streamlit.testing.v1 import AppTest

from lib.metrics.detectors import detectors, find_detector
from lib.metrics.feedback import feedback_on
from lib.metrics.groups_store import GroupQuery, list_groups
from lib.metrics.model import Detector, DetectorState, GroupKind
from lib.ui import escape, resources
from lib.ui.pages import ANOMALIES
from tests.pages.conftest import visit


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


def test_the_first_visit_lets_the_sample_learn() -> None:
    app = visit(ANOMALIES)
    assert not app.exception
    assert [one.name for one in detectors(resources.store())] == ["Shop-sample"]
    job = resources.jobs().latest("Evaluate Shop-sample")
    assert job is not None
    assert "The first run learns what is usual" in captions(app)


def test_the_list_opens_with_the_most_severe_event_in_detail(shop: Detector) -> None:
    app = visit(ANOMALIES)
    assert not app.exception
    groups = list_groups(resources.store(), GroupQuery(shop.id, least_severity=50))
    assert f"**{len(groups)} anomalies**" in captions(app)
    worst = groups[0]
    assert app.metric[0].value == f"{worst.severity:.0f} of 100"
    assert worst.measure in app.subheader[0].value
    assert list(app.dataframe[0].value["severity"]) == [one.severity for one in groups]


def test_filters_narrow_the_list(shop: Detector) -> None:
    app = visit(ANOMALIES)
    app.number_input(key="anomalies_severity").set_value(90).run()
    severe = len(app.dataframe[0].value)
    assert 0 < severe < len(list_groups(resources.store(), GroupQuery(shop.id)))
    app.selectbox(key="anomalies_measure").set_value("No data").run()
    assert set(app.dataframe[0].value["what"]) == {"no data"}
    app.selectbox(key="anomalies_measure").set_value("visits").run()
    app.text_input(key="anomalies_text").set_value("nowhere").run()
    assert "No anomaly matches" in "\n".join(one.value for one in app.markdown)


def test_a_link_opens_its_event(shop: Detector) -> None:
    silent = next(
        one
        for one in list_groups(resources.store(), GroupQuery(shop.id))
        if one.kind is GroupKind.MISSING_DATA
    )
    app = visit(ANOMALIES, anomalies_group=silent.id)
    assert app.subheader[0].value.startswith("No data arrived")
    day = silent.start.date()
    app = visit(ANOMALIES, anomalies_day=day.isoformat(), anomalies_severity=0)
    found = list_groups(
        resources.store(),
        GroupQuery(
            shop.id,
            start=datetime(day.year, day.month, day.day, tzinfo=UTC),
            end=datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1),
        ),
    )
    assert len(app.dataframe[0].value) == len(found)


def test_feedback_is_kept_and_undone(shop: Detector) -> None:
    app = visit(ANOMALIES, anomalies_measure="visits")
    group = list_groups(resources.store(), GroupQuery(shop.id, measure="visits"))[0]
    app.button(key="anomalies_feedback_False").click().run()
    [said] = feedback_on(resources.store(), group.id)
    assert not said.is_anomaly
    assert "not real" in set(app.dataframe[0].value["feedback"])
    app.button(key=f"anomalies_undo_{said.id}").click().run()
    assert feedback_on(resources.store(), group.id)[0].undone_by
    assert not app.exception


def test_the_list_shows_the_course_of_each_event(shop: Detector) -> None:
    app = visit(ANOMALIES)
    table = app.dataframe[0].value
    kinds = [one.kind for one in list_groups(resources.store(), GroupQuery(shop.id, 50))]
    for course, kind in zip(table["course"], kinds, strict=True):
        assert (course is None) == (kind is GroupKind.MISSING_DATA)
        if course is not None:
            assert 20 <= len(course) <= 48


def test_the_shop_is_compared_with_its_incidents(shop: Detector) -> None:
    app = visit(ANOMALIES, anomalies_view="Detectors")
    app.session_state[f"anomalies_backtest_{shop.id}"] = True
    app.run()
    assert not app.exception
    [table] = [one.value for one in app.dataframe if "Recall" in one.value]
    assert list(table["Severity from"]) == [50, 60, 70, 80, 90]
    assert table["Recall"].between(0, 100).all()
    assert table["Precision"][2] >= 50


def test_detectors_are_paused_resumed_and_deleted(shop: Detector) -> None:
    app = visit(ANOMALIES, anomalies_view="Detectors")
    app.button(key=f"anomalies_pause_{shop.id}").click().run()
    found = find_detector(resources.store(), shop.id)
    assert found is not None
    assert found.state is DetectorState.PAUSED
    app.button(key=f"anomalies_resume_{shop.id}").click().run()
    app.button(key=f"anomalies_delete_{shop.id}").click().run()
    assert find_detector(resources.store(), shop.id) is not None
    app.button(key=f"anomalies_delete_yes_{shop.id}").click().run()
    assert find_detector(resources.store(), shop.id) is None
    assert not app.exception


def test_a_file_becomes_a_detector() -> None:
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(300)]
    lines = "".join(f"{hour:%Y-%m-%d %H:%M},{'ab'[at % 2]},{at}\n" for at, hour in enumerate(hours))
    app = visit(ANOMALIES, anomalies_view="New detector")
    app.file_uploader(key="anomalies_file").upload(
        "sales.csv", f"when,shop,amount\n{lines}".encode(), "text/csv"
    ).run()
    app.button(key="anomalies_read").click().run()
    assert not app.exception
    assert "First rows of 300 looked at" in [one.label for one in app.expander]
    app.text_input(key="anomalies_name").set_value("no good name")
    app.button(key="anomalies_create_submit").click().run()
    assert "1 to 63 letters" in app.error[0].value
    app.text_input(key="anomalies_name").set_value("Sales")
    app.button(key="anomalies_create_submit").click().run()
    made = next(one for one in detectors(resources.store()) if one.name == "Sales")
    assert made.dataset.timestamp == "when"
    assert made.dataset.dimensions == ("shop",)
    assert [measure.name for measure in made.dataset.measures] == ["amount"]
    assert made.state is DetectorState.BACKTEST
    assert app.selectbox(key="anomalies_detector").value == "Sales"


def test_a_file_that_is_none_is_refused_with_a_sentence() -> None:
    app = visit(ANOMALIES, anomalies_view="New detector")
    app.file_uploader(key="anomalies_file").upload("sales.csv", b"a,b\nx,y\n", "text/csv").run()
    app.button(key="anomalies_read").click().run()
    assert escape("Exactly one column is the timestamp; 0 are chosen.") == app.warning[0].value


def test_a_detector_of_lookout_for_metrics_is_imported() -> None:
    from tests.metrics.test_lookout import TEMPLATE

    app = visit(ANOMALIES, anomalies_view="Detectors")
    upload = app.file_uploader(key="anomalies_import_file")
    upload.upload("stack.yaml", TEMPLATE.encode(), "text/yaml").run()
    app.button(key="anomalies_import").click().run()
    assert "names no place in S3" in app.error[0].value
    fixed = TEMPLATE.replace('!Sub "s3://${Bucket}/x"', '"s3://bucket/x"')
    upload = app.file_uploader(key="anomalies_import_file")
    upload.set_value(("stack.yaml", fixed.encode(), "text/yaml")).run()
    app.button(key="anomalies_import").click().run()
    assert "TestAlertFilters" in [one.name for one in detectors(resources.store())]
