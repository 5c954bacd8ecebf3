from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from lib.alerts.messages import body_of, moment, points, subject_of
from lib.alerts.model import Alert, AlertRule, Format
from lib.metrics.model import (
    AnomalyGroup,
    Dataset,
    Detector,
    DetectorState,
    DimensionContribution,
    Frequency,
    GroupKind,
    Measure,
    Unit,
)
from tests.alerts.test_matching import ALL, DIMENSIONS, FIRST, POST, SECOND, group

DETECTOR = Detector(
    "d" * 32,
    "TestAlertFilters",
    Dataset({}, "time", (Measure("revenue", "revenue"),), DIMENSIONS, Frequency(5, Unit.MINUTE)),
    DetectorState.ACTIVE,
)
ADDRESS = "https://sightline.example"


def alert(rule: AlertRule, kind: Format = Format.LONG_TEXT) -> Alert:
    return Alert("a" * 32, DETECTOR.id, 1, replace(rule, format=kind))


def long_text(severity: str, *series: str) -> str:
    """Return the beginning of the message as the AWS post prints it, with our name."""
    return (
        "[Sightline] The anomaly detector TestAlertFilters detected an anomaly in revenue with a "
        f"severity score of {severity} on May 25, 2022 at 8:05 PM.\n"
        "Anomalous graphs were detected for the following:\n\n"
    ) + "".join(f"revenue for: {one}\n\n" for one in series)


POSTED = [
    (
        POST,
        FIRST,
        long_text(
            "77.3",
            "jewellery, thirdParty, CA, regular, priority",
            "electronics, self, MX, premium, overnight",
            "electronics, self, US, regular, overnight",
        ),
    ),
    (
        ALL,
        SECOND,
        long_text(
            "77.59",
            "jewellery, self, UK, regular, overnight",
            "jewellery, thirdParty, JP, premium, overnight",
            "electronics, thirdParty, DE, premium, priority",
        ),
    ),
]


@pytest.mark.parametrize(("rule", "found", "first_lines"), POSTED)
def test_the_long_text_is_that_of_the_post(
    rule: AlertRule, found: AnomalyGroup, first_lines: str
) -> None:
    text = body_of(alert(rule), DETECTOR, [found], ADDRESS)
    assert text.startswith(first_lines)
    assert "To view the anomaly, visit Sightline at: https://sightline.example/anomalies?" in text
    link = text.rpartition("To modify settings for this alert: ")[2]
    assert urlsplit(link).query == (f"alerts_detector=TestAlertFilters&alerts_alert={rule.name}")


def test_the_payload_has_the_keys_of_the_developer_guide() -> None:
    found = replace(FIRST, contributions=(DimensionContribution("category", (("fr", 73.0),)),))
    data = json.loads(body_of(alert(POST, Format.JSON), DETECTOR, [found], ADDRESS))
    assert data["alertName"] == POST.name
    assert data["anomalyScore"] == 77.3
    assert data["timestamp"] == "2022-05-25T20:05Z[UTC]"
    metric = data["impactedMetric"]
    assert metric["metricName"] == "revenue"
    assert metric["dimensionContribution"] == [
        {
            "dimensionName": "category",
            "dimensionValueContributions": [{"dimensionValue": "fr", "valueContribution": 73.0}],
        }
    ]
    first = metric["relevantTimeSeries"][0]
    assert first["dimensions"][0] == {"dimensionName": "category", "dimensionValue": "jewellery"}
    assert first["metricValue"] == 50
    several = json.loads(body_of(alert(POST, Format.JSON), DETECTOR, [FIRST, SECOND], ADDRESS))
    assert [one["anomalyScore"] for one in several] == [77.3, 77.59]


def test_the_short_text_fits_a_phone() -> None:
    text = body_of(alert(POST, Format.SHORT_TEXT), DETECTOR, [FIRST], ADDRESS)
    assert text.startswith(
        "[Sightline] TestAlertFilters: revenue, severity 77.3, May 25, 2022 at 8:05 PM, 3 series, "
        "first jewellery, thirdParty, CA, regular, priority."
    )


def test_missing_data_have_words_of_their_own() -> None:
    gone = group(measure="", kind=GroupKind.MISSING_DATA, severity=90)
    assert "received no data from May 25, 2022 at 8:05 PM to" in body_of(
        alert(POST), DETECTOR, [gone], ADDRESS
    )


def test_numbers_and_times_are_written_as_the_service_does() -> None:
    assert [points(one) for one in (77.3, 77.59, 100.0, 28.294)] == [
        "77.3",
        "77.59",
        "100",
        "28.29",
    ]
    noon = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
    assert moment(noon, "UTC") == "November 3, 2026 at 12:00 PM"
    assert moment(noon, "America/New_York") == "November 3, 2026 at 7:00 AM"


def test_a_subject_is_one_line() -> None:
    assert subject_of(DETECTOR, [FIRST]) == "[Sightline] TestAlertFilters: revenue, severity 77.3"
    assert subject_of(DETECTOR, [FIRST, SECOND]).endswith("and 1 more")
