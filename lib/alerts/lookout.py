"""Alerts of Lookout for Metrics, read from its JSON or CloudFormation and written.

Read are the answers of DescribeAlert (one or several), of ListAlerts (whose summaries carry no
filters), a request of CreateAlert, and templates with AWS::LookoutMetrics::Alert. The shapes are
those of botocore's model of lookoutmetrics (2017-07-25) and of CloudFormation's specification.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.alerts.model import (
    Alert,
    AlertRule,
    Channel,
    ChannelKind,
    DimensionFilter,
    Format,
    checked_rule,
)
from lib.metrics.lookout import read_document
from lib.metrics.model import Dataset, Detector, Direction, MetricsError

RESOURCE = "AWS::LookoutMetrics::Alert"
MOST_MEASURES, MOST_FILTERS, MOST_VALUES = 5, 5, 10  # the service's limits


def import_alerts(data: bytes, dataset: Dataset) -> tuple[AlertRule, ...]:
    """Return the rules that a file holds; raises `MetricsError` where one is wrong, or none there.

    Roles are left behind: messages are sent by Sightline's own identity.
    """
    found = tuple(_rule(one) for one in _alerts(read_document(data)))
    if not found:
        raise MetricsError("There is no alert of Lookout for Metrics in this file.")
    for rule in found:
        try:
            checked_rule(rule, dataset)
        except MetricsError as error:
            raise MetricsError(f"{rule.name}: {error}") from error
    return found


def export_alerts(detector: Detector, alerts: Sequence[Alert]) -> str:
    """Return the alerts as JSON, each as DescribeAlert answers; ours alone is under "Sightline"."""
    return json.dumps({"Alerts": [_described(detector, one) for one in alerts]}, indent=1)


def _alerts(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, list):
        for one in document:
            yield from _alerts(one)
        return
    if not isinstance(document, dict):
        return
    for resource in (document.get("Resources") or {}).values():
        if isinstance(resource, dict) and resource.get("Type") == RESOURCE:
            yield resource.get("Properties") or {}
    for name in ("Alert", "AlertSummaryList", "Alerts"):
        yield from _alerts(document.get(name))
    if "AlertName" in document:
        yield document


def _rule(one: Mapping[str, Any]) -> AlertRule:
    filters = one.get("AlertFilters") or {}
    own = one.get("Sightline") or {}
    return AlertRule(
        name=str(one.get("AlertName", "")),
        description=str(one.get("AlertDescription") or ""),
        measures=tuple(map(str, filters.get("MetricList") or ())),
        filters=tuple(
            DimensionFilter(
                str(each.get("DimensionName", "")),
                tuple(map(str, each.get("DimensionValueList") or ())),
                exclude=own.get("exclude", {}).get(each.get("DimensionName"), False),
                pattern=own.get("pattern", {}).get(each.get("DimensionName"), False),
            )
            for each in filters.get("DimensionFilterList") or ()
        ),
        severity=_number(one.get("AlertSensitivityThreshold")),
        channel=_channel(one.get("Action") or {}),
        format=_format(one.get("Action") or {}),
        active=one.get("AlertStatus", "ACTIVE") != "INACTIVE",
    )


def _number(value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise MetricsError(f"{value!r} is no severity.") from error


def _channel(action: Mapping[str, Any]) -> Channel:
    topic = (action.get("SNSConfiguration") or {}).get("SnsTopicArn")
    function = (action.get("LambdaConfiguration") or {}).get("LambdaArn")
    for kind, target in ((ChannelKind.SNS, topic), (ChannelKind.LAMBDA, function)):
        # A reference of a template names no topic until it is deployed; the inbox takes its place.
        if isinstance(target, str) and Channel(kind, target).region:
            return Channel(kind, target)
    return Channel()


def _format(action: Mapping[str, Any]) -> Format:
    named = (action.get("SNSConfiguration") or {}).get("SnsFormat")
    return Format(named) if named in set(Format) else Format.JSON


def _described(detector: Detector, alert: Alert) -> dict[str, Any]:
    rule = alert.rule
    described: dict[str, Any] = {
        "AlertName": rule.name,
        "AnomalyDetectorArn": f"sightline:detector:{detector.name}",
        "AlertStatus": "ACTIVE" if rule.active else "INACTIVE",
        "AlertFilters": {
            "MetricList": list(rule.measures),
            "DimensionFilterList": [
                {"DimensionName": one.dimension, "DimensionValueList": list(one.values)}
                for one in rule.filters
            ],
        },
        "Action": _action(rule),
        "Sightline": {
            "exclude": {one.dimension: True for one in rule.filters if one.exclude},
            "pattern": {one.dimension: True for one in rule.filters if one.pattern},
        },
        "BeyondTheService": _beyond(rule),
    }
    if rule.description:
        described["AlertDescription"] = rule.description
    if rule.severity is not None:
        described["AlertSensitivityThreshold"] = round(rule.severity)
    return described


def _action(rule: AlertRule) -> dict[str, Any]:
    if rule.channel.kind is ChannelKind.SNS:
        topic = {"SnsTopicArn": rule.channel.target, "SnsFormat": str(rule.format)}
        return {"SNSConfiguration": topic}
    if rule.channel.kind is ChannelKind.LAMBDA:
        return {"LambdaConfiguration": {"LambdaArn": rule.channel.target}}
    return {}


def _beyond(rule: AlertRule) -> list[str]:
    """Return what the service could not take, in words."""
    too_many = (
        (len(rule.measures) > MOST_MEASURES, f"more than {MOST_MEASURES} measures"),
        (len(rule.filters) > MOST_FILTERS, f"more than {MOST_FILTERS} dimensions"),
        (
            any(len(one.values) > MOST_VALUES for one in rule.filters),
            f"more than {MOST_VALUES} values of a dimension",
        ),
        (any(one.exclude or one.pattern for one in rule.filters), "values excluded or by pattern"),
        (rule.direction is not Direction.BOTH, f"direction {rule.direction}"),
    )
    return [words for beyond, words in too_many if beyond]
