from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lib.metrics.groups_store import GroupQuery, list_groups
from lib.metrics.model import Detector
from lib.ui import resources
from lib.ui.anomaly_words import place
from lib.ui.causes_view import FORBIDDEN, GROUP
from lib.ui.pages import CAUSES
from tests.causes.systems import two_services
from tests.pages.conftest import SHOP, visit


def words(app: AppTest) -> str:
    shown = [*(one.value for one in app.markdown), *(one.value for one in app.caption)]
    return "\n".join(shown).replace("\\", "")


def test_fewer_orders_are_explained_by_fewer_visits(shop: Detector) -> None:
    orders = list_groups(resources.store(), GroupQuery(shop.id, 70, "orders", "DE"))
    [group, *_] = [one for one in orders if place(one) == "DE"]
    app = visit(CAUSES, causes_detector=SHOP, **{GROUP: group.id})
    assert not app.exception
    assert "orders was" in words(app)
    shares = next(one.value for one in app.dataframe if "share" in one.value)
    assert shares.loc[shares["how"] == "explains", "share"].sum() == pytest.approx(100, abs=0.1)
    first = shares.iloc[0]
    assert first["measure"] == "visits"
    edges = next(one.value for one in app.dataframe if "cause" in one.value)
    assert ("visits", "clicks") in set(zip(edges["cause"], edges["effect"], strict=True))
    assert "marketplace: DE" in words(app)


def test_what_the_user_knows_changes_the_graph(shop: Detector) -> None:
    app = visit(CAUSES, causes_detector=SHOP, **{FORBIDDEN: ["visits → clicks"]})
    assert not app.exception
    edges = next(one.value for one in app.dataframe if "cause" in one.value)
    assert ("visits", "clicks") not in set(zip(edges["cause"], edges["effect"], strict=True))
    assert resources.store() is not None
    assert shop.name == SHOP


def test_another_rule_and_shifted_causes_are_drawn() -> None:
    random = np.random.default_rng(1)
    hours = np.datetime64("2026-01-01") + np.arange(600) * np.timedelta64(1, "h")
    leads = np.exp(0.1 * random.normal(size=600))
    sales = np.roll(leads, 3) * np.exp(0.05 * random.normal(size=600))
    lines = [
        f"{at},{1_000 * a:.3f},{b:.3f}"
        for at, a, b in zip(np.datetime_as_string(hours, unit="m"), leads, sales, strict=True)
    ]
    app = visit(CAUSES, causes_source="A file of yours")
    upload(app, "time,leads,sales\n" + "\n".join(lines) + "\n")
    app.selectbox(key="causes_target").set_value("sales").run()
    app.radio(key="causes_rule").set_value("simes").run()
    edges = next(one.value for one in app.dataframe if "cause" in one.value)
    assert [*edges.loc[edges["effect"] == "sales", "lag"]] == [3]
    app.checkbox(key="causes_shift").check().run()
    assert not app.exception


def upload(app: AppTest, text: str) -> AppTest:
    app.file_uploader(key="causes_upload").upload("rows.csv", text.encode(), "text/csv").run()
    return app


def test_a_file_is_explained_without_a_detector() -> None:
    random = np.random.default_rng(1)
    hours = np.datetime64("2026-01-01") + np.arange(600) * np.timedelta64(1, "h")
    clicks = 1_000 * np.exp(0.1 * random.standard_t(5, 600))
    clicks[-1] *= 0.5
    orders = 0.1 * clicks * np.exp(0.05 * random.standard_t(5, 600))
    lines = [
        f"{at},{a:.3f},{b:.3f}"
        for at, a, b in zip(np.datetime_as_string(hours, unit="m"), clicks, orders, strict=True)
    ]
    app = visit(CAUSES, causes_source="A file of yours", causes_order=["clicks", "orders"])
    upload(app, "time,clicks,orders\n" + "\n".join(lines) + "\n")
    assert [one.value for one in app.error] == []
    app.selectbox(key="causes_target").set_value("orders").run()
    app.selectbox(key="causes_first").set_value(599).run()
    assert not app.exception
    shares = next(one.value for one in app.dataframe if "share" in one.value)
    assert shares.iloc[0]["measure"] == "clicks"
    assert shares.iloc[0]["share"] > 80
    assert "orders would have been" in words(app)


def test_a_file_that_cannot_tell_is_refused_with_a_sentence() -> None:
    app = visit(CAUSES, causes_source="A file of yours")
    upload(app, "time,amount\n2026-01-01,5\n2026-01-02,6\n")
    assert "One measure alone has no causes" in app.error[0].value.replace("\\", "")


def test_the_export_is_json_without_holes(shop: Detector) -> None:
    from lib.causes.attribution import attribute
    from lib.causes.discovery import discover
    from lib.ui.causes_words import as_json
    from tests.causes.funnels import injected

    assert shop.id
    observations = injected((0, -0.4, 0), (1200, 1206), series=6)
    found = discover(observations)
    data = json.loads(as_json(attribute(observations, found, "revenue", 1200, 1206), found.graph))
    assert data["attribution"]["target"] == "revenue"
    assert data["graph"]["edges"]


def test_the_part_at_fault_is_named_once_it_is_said_who_calls_whom() -> None:
    app = visit(CAUSES, causes_source="A file of yours")
    upload(app, two_services(2))
    assert [one.value for one in app.error] == []
    app.selectbox(key="causes_target").set_value("milliseconds").run()
    app.selectbox(key="causes_first").set_value(298).run()
    app.number_input(key="causes_count").set_value(2).run()
    app.selectbox(key="causes_part").set_value("site").run()
    app.text_area(key="causes_calls").set_value("site → pay").run()
    assert not app.exception
    assert "pay is at fault: 95 %" in words(app)
    app.text_area(key="causes_calls").set_value("site pay").run()
    assert "Line 1 names no two parts" in app.warning[0].value.replace("\\", "")
