from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lib.alerts.lookout import export_alerts, import_alerts
from lib.alerts.model import Alert, AlertRule, ChannelKind, DimensionFilter, Format
from lib.metrics.model import Direction, MetricsError
from tests.alerts.test_matching import POST
from tests.alerts.test_messages import DETECTOR

TOPIC = "arn:aws:sns:us-west-2:123456789012:filterAlertsDemoTopic"
DESCRIBED = {
    "AlertName": POST.name,
    "AlertArn": f"arn:aws:lookoutmetrics:us-west-2:123456789012:Alert:{POST.name}",
    "AlertSensitivityThreshold": 20,
    "AlertStatus": "ACTIVE",
    "Action": {
        "SNSConfiguration": {
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "SnsTopicArn": TOPIC,
            "SnsFormat": "LONG_TEXT",
        }
    },
    "AlertFilters": {
        "MetricList": ["revenue"],
        "DimensionFilterList": [
            {"DimensionName": "marketplace", "DimensionValueList": ["US", "CA"]},
            {"DimensionName": "category", "DimensionValueList": ["fashion", "jewellery"]},
        ],
    },
}
TEMPLATE = """
Resources:
  Topic:
    Type: AWS::SNS::Topic
  Alert:
    Type: AWS::LookoutMetrics::Alert
    Properties:
      AlertName: testAlertWithNoFilters
      AlertSensitivityThreshold: 70
      AnomalyDetectorArn: !GetAtt Detector.Arn
      Action:
        SNSConfiguration:
          RoleArn: !Sub arn:aws:iam::${AWS::AccountId}:role/r
          SnsTopicArn: !Ref Topic
"""


def test_the_alert_of_the_post_is_imported_from_describe_alert() -> None:
    [rule] = import_alerts(json.dumps({"Alert": DESCRIBED}).encode(), DETECTOR.dataset)
    assert (rule.channel.kind, rule.channel.target) == (ChannelKind.SNS, TOPIC)
    assert replace(rule, channel=POST.channel) == POST


def test_a_template_is_imported_without_what_is_known_only_when_deployed() -> None:
    [rule] = import_alerts(TEMPLATE.encode(), DETECTOR.dataset)
    assert rule.name == "testAlertWithNoFilters"
    assert rule.severity == 70
    assert rule.channel.kind is ChannelKind.INBOX


def test_summaries_have_no_filters() -> None:
    listed = {"AlertSummaryList": [{"AlertName": "a"}, {"AlertName": "b"}], "NextToken": "x"}
    rules = import_alerts(json.dumps(listed).encode(), DETECTOR.dataset)
    assert [(one.name, one.filters, one.severity) for one in rules] == [
        ("a", (), None),
        ("b", (), None),
    ]


def test_what_is_exported_is_imported_again() -> None:
    rule = AlertRule(
        "all-but-these",
        "A description",
        ("revenue",),
        (DimensionFilter("tier", ("p*",), exclude=True, pattern=True),),
        severity=55,
        direction=Direction.DIP,
        format=Format.JSON,
        active=False,
    )
    text = export_alerts(DETECTOR, [Alert("a", "d", 1, rule)])
    [described] = json.loads(text)["Alerts"]
    assert described["BeyondTheService"] == ["values excluded or by pattern", "direction dip"]
    [again] = import_alerts(text.encode(), DETECTOR.dataset)
    assert again == replace(rule, direction=Direction.BOTH)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[]", "no alert"),
        (b"{}", "no alert"),
        (b"\xff\xff", "not in UTF-8"),
        (b"a: [", "neither JSON nor YAML"),
        (b"!!python/object/apply:os.system ['true']", "neither JSON nor YAML"),
        (b'{"AlertName": "a", "AlertSensitivityThreshold": "high"}', "'high' is no severity"),
        (b'{"AlertName": "a", "AlertFilters": {"MetricList": ["x"]}}', "a: 'x' is no measure"),
    ],
)
def test_what_cannot_be_imported_is_said(data: bytes, says: str) -> None:
    with pytest.raises(MetricsError, match=says):
        import_alerts(data, DETECTOR.dataset)
