from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lib.alerts.model import AlertRule, Channel, ChannelKind
from lib.alerts.outbox import announce, notifications, send_due, unread
from lib.alerts.rules import alerts, create_alert, edit_alert
from lib.metrics.groups_store import GroupQuery, list_groups, write_groups
from lib.metrics.model import Detector
from lib.settings import settings
from lib.ui import resources
from lib.ui.pages import ALERTS
from tests.pages.conftest import SHOP, visit

RULE = AlertRule("revenue-in-Germany", measures=("visits",), severity=50)


def show(view: str = "Alerts", **state: object) -> AppTest:
    return visit(ALERTS, alerts_detector=SHOP, alerts_view=view, **state)


def table(app: AppTest, column: str) -> Any:
    return next(one.value for one in app.dataframe if column in one.value)


def words(app: AppTest) -> str:
    return "\n".join([*(one.value for one in app.caption), *(one.value for one in app.markdown)])


@pytest.mark.usefixtures("shop")
def test_without_an_alert_the_page_says_what_one_is() -> None:
    app = show()
    assert not app.exception
    assert "An alert tells you of the anomalies that fit" in words(app)


def test_the_alert_of_the_post_is_written_criterion_by_criterion(shop: Detector) -> None:
    app = show("Editor")
    app.text_input(key="alerts_draft_name_1").set_value("testRevenueForFashionOrJewelleryInUSOrCA")
    app.multiselect(key="alerts_draft_measures_1").set_value(["revenue"])
    app.number_input(key="alerts_draft_severity_1").set_value(20.0)
    app.button(key="alerts_draft_add_marketplace_1").click().run()
    app.multiselect(key="alerts_draft_values_marketplace_1").set_value(["US", "CA"])
    app.button(key="alerts_draft_add_category_1").click().run()
    app.multiselect(key="alerts_draft_values_category_1").set_value(["fashion", "jewellery"]).run()
    assert not app.exception
    assert "marketplace is US or CA and category is fashion or jewellery" in words(app)
    app.button(key="alerts_save").click().run()
    assert "is saved" in app.success[0].value
    [saved] = alerts(resources.store(), shop.id)
    assert saved.rule.severity == 20
    assert [(one.dimension, one.values) for one in saved.rule.filters] == [
        ("marketplace", ("US", "CA")),
        ("category", ("fashion", "jewellery")),
    ]
    assert app.text_input(key="alerts_draft_name_2").disabled


def test_the_preview_counts_and_explains(shop: Detector) -> None:
    groups = list_groups(resources.store(), GroupQuery(shop.id))
    app = show("Editor")
    high = [one for one in groups if one.severity >= 70]
    assert f"**{len(high):,} of {len(groups):,}** past anomalies" in words(app)
    assert list(table(app, "severity")["severity"]) == [one.severity for one in high]
    app.number_input(key="alerts_draft_severity_1").set_value(100.0).run()
    assert f"**0 of {len(groups):,}** past anomalies" in words(app)
    app.radio(key="alerts_shown").set_value("Would not be sent").run()
    why = table(app, "Criterion")
    assert why["Criterion"].iloc[0] == "Severity"
    assert why[""].iloc[0] == "✗"
    assert "Why it would not be sent" in words(app)


def test_an_edit_that_somebody_overtook_is_not_saved_and_not_lost(shop: Detector) -> None:
    made = create_alert(resources.store(), shop, RULE, "ann")
    app = show()
    app.button(key="alerts_edit").click().run()
    edit_alert(resources.store(), made, replace(RULE, severity=90), shop.dataset, "bob")
    app.number_input(key="alerts_draft_severity_1").set_value(30.0).run()
    app.button(key="alerts_save").click().run()
    assert "bob has edited this alert" in app.error[0].value
    assert app.number_input(key="alerts_draft_severity_1").value == 30.0
    [kept] = alerts(resources.store(), shop.id)
    assert kept.rule.severity == 90


def test_alerts_are_paused_snoozed_deleted_and_taken_back(shop: Detector) -> None:
    create_alert(resources.store(), shop, RULE, "ann")
    app = show()
    app.button(key="alerts_pause").click().run()
    assert not alerts(resources.store(), shop.id)[0].rule.active
    app.button(key="alerts_pause").click().run()
    app.button(key="alerts_snooze_1 day").click().run()
    assert alerts(resources.store(), shop.id)[0].rule.snoozed_until is not None
    app.button(key="alerts_wake").click().run()
    assert alerts(resources.store(), shop.id)[0].rule.snoozed_until is None
    app.button(key="alerts_delete").click().run()
    assert alerts(resources.store(), shop.id) == ()
    app.button(key="alerts_undo").click().run()
    [back] = alerts(resources.store(), shop.id)
    assert back.rule == RULE
    assert not app.exception


def test_a_version_is_restored_from_the_history(shop: Detector) -> None:
    made = create_alert(resources.store(), shop, RULE, "ann")
    edit_alert(resources.store(), made, replace(RULE, severity=90), shop.dataset, "bob")
    app = show(alerts_history=True)
    assert "severity: 50 → 90" in words(app).replace("\\", "")
    app.button(key="alerts_restore_1").click().run()
    [kept] = alerts(resources.store(), shop.id)
    assert (kept.rule, kept.version) == (RULE, 3)


@pytest.mark.usefixtures("shop")
def test_a_problem_is_said_while_writing() -> None:
    app = show("Editor")
    app.text_input(key="alerts_draft_name_1").set_value("not a name").run()
    assert "1 to 63 letters" in app.warning[0].value
    assert app.button(key="alerts_save").disabled


def test_messages_are_read_and_dead_ones_sent_again(shop: Detector) -> None:
    create_alert(resources.store(), shop, replace(RULE, measures=()), "ann")
    away = replace(RULE, name="away", channel=Channel(ChannelKind.NAMED, "ops"), measures=())
    create_alert(resources.store(), shop, away, "ann")
    [worst, *_] = list_groups(resources.store(), GroupQuery(shop.id, least_severity=80))
    with resources.store().write() as session:
        write_groups(session, [worst], timedelta(), announced=False)
    announce(resources.store(), settings(), datetime.now(UTC))
    app = show("Inbox")
    assert not app.exception
    assert any(SHOP in one.label for one in app.expander)
    app.button(key="alerts_read_all").click().run()
    assert unread(resources.store()) == 0
    send_due(resources.store(), settings(), resources.aws(), datetime.now(UTC))
    app = show("Deliveries")
    [dead] = [one for one in notifications(resources.store()) if one.state == "dead"]
    assert "no longer set" in words(app).replace("\\", "")
    app.button(key=f"alerts_resend_{dead.id[:16]}").click().run()
    assert [one.state for one in notifications(resources.store()) if one.id == dead.id] == [
        "waiting"
    ]
