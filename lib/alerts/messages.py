"""What a notification says, in the formats of Lookout for Metrics.

The long text is worded as the service's (the example in the AWS post on alert filters), with our
links; the JSON has the keys of the developer guide's payload.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from lib.alerts.model import Alert, Format
from lib.metrics.model import AnomalyGroup, Detector, GroupKind, SeriesKey

PREFIX = "[Sightline]"
MAX_NAMED = 500  # series in a message; SNS takes 256 kB
MAX_SUBJECT = 100  # SNS
ALL_VALUES = "all"


def subject_of(detector: Detector, groups: Sequence[AnomalyGroup]) -> str:
    """Return one line about the groups, at most 100 characters."""
    first = groups[0]
    more = f" and {len(groups) - 1} more" if len(groups) > 1 else ""
    what = first.measure or "missing data"
    text = f"{PREFIX} {detector.name}: {what}, severity {points(first.severity)}{more}"
    return text[:MAX_SUBJECT]


def body_of(alert: Alert, detector: Detector, groups: Sequence[AnomalyGroup], address: str) -> str:
    """Return the message about one group, or several in a digest; `address` is Sightline's URL."""
    kind = alert.rule.format
    if kind is Format.JSON:
        found = [_payload(alert, detector, one, address) for one in groups]
        return json.dumps(found[0] if len(found) == 1 else found, ensure_ascii=False)
    write = _long if kind is Format.LONG_TEXT else _short
    return "\n\n".join(write(alert, detector, one, address) for one in groups)


def points(severity: float) -> str:
    """Return a severity as the service writes it: at most two decimals."""
    return f"{severity:.2f}".rstrip("0").rstrip(".")


def moment(time: datetime, zone: str) -> str:
    """Return a time as the service writes it: May 25, 2022 at 8:05 PM."""
    local = time.astimezone(ZoneInfo(zone))
    return f"{local:%B} {local.day}, {local.year} at {local.hour % 12 or 12}:{local:%M %p}"


def group_link(address: str, detector: Detector, group: AnomalyGroup) -> str:
    """Return the address of a group's page."""
    return f"{address}/anomalies?anomalies_detector={detector.name}&anomalies_group={group.id}"


def alert_link(address: str, detector: Detector, alert: Alert) -> str:
    """Return the address of an alert's page."""
    return f"{address}/alerts?alerts_detector={detector.name}&alerts_alert={alert.rule.name}"


def _long(alert: Alert, detector: Detector, group: AnomalyGroup, address: str) -> str:
    links = (
        f"To view the anomaly, visit Sightline at: {group_link(address, detector, group)}\n\n"
        f"To modify settings for this alert: {alert_link(address, detector, alert)}"
    )
    when = moment(group.start, detector.dataset.zone)
    if group.kind is GroupKind.MISSING_DATA:
        return (
            f"{PREFIX} The anomaly detector {detector.name} received no data from {when} to "
            f"{moment(group.end, detector.dataset.zone)}, with a severity score of "
            f"{points(group.severity)}.\n\n{links}"
        )
    named = [f"{group.measure} for: {_values(one.key)}" for one in group.series[:MAX_NAMED]]
    if group.series_count > len(named):
        named.append(f"and {group.series_count - len(named):,} more series")
    listed = "\n\n".join(named)
    return (
        f"{PREFIX} The anomaly detector {detector.name} detected an anomaly in {group.measure} "
        f"with a severity score of {points(group.severity)} on {when}.\n"
        f"Anomalous graphs were detected for the following:\n\n{listed}\n\n{links}"
    )


def _short(alert: Alert, detector: Detector, group: AnomalyGroup, address: str) -> str:
    del alert
    when = moment(group.start, detector.dataset.zone)
    link = group_link(address, detector, group)
    if group.kind is GroupKind.MISSING_DATA:
        return f"{PREFIX} {detector.name}: no data on {when}. {link}"
    first = f", first {_values(group.series[0].key)}" if group.series else ""
    return (
        f"{PREFIX} {detector.name}: {group.measure}, severity {points(group.severity)}, {when}, "
        f"{group.series_count:,} series{first}. {link}"
    )


def _payload(
    alert: Alert, detector: Detector, group: AnomalyGroup, address: str
) -> dict[str, object]:
    local = group.start.astimezone(ZoneInfo(detector.dataset.zone))
    return {
        "alertName": alert.rule.name,
        "alertEventId": f"{alert.id}/{group.id}",
        "anomalyDetectorArn": f"sightline:detector:{detector.name}",
        "alertArn": f"sightline:alert:{detector.name}:{alert.rule.name}",
        "alertDescription": alert.rule.description or None,
        "impactedMetric": {
            "metricName": group.measure,
            "dimensionContribution": [
                {
                    "dimensionName": one.dimension,
                    "dimensionValueContributions": [
                        {"dimensionValue": value, "valueContribution": round(share, 2)}
                        for value, share in one.values
                    ],
                }
                for one in group.contributions
            ],
            "relevantTimeSeries": [
                {
                    "timeSeriesId": ",".join(value or ALL_VALUES for value in one.key),
                    "dimensions": [
                        {"dimensionName": name, "dimensionValue": value or ALL_VALUES}
                        for name, value in zip(detector.dataset.dimensions, one.key, strict=True)
                    ],
                    "metricValue": one.observed,
                }
                for one in group.series[:MAX_NAMED]
            ],
        },
        "timestamp": f"{local:%Y-%m-%dT%H:%M%z}"[:-2] + f":00[{detector.dataset.zone}]"
        if local.utcoffset()
        else f"{local:%Y-%m-%dT%H:%M}Z[{detector.dataset.zone}]",
        "anomalyScore": round(group.severity, 2),
        "consoleUrl": group_link(address, detector, group),
    }


def _values(key: SeriesKey) -> str:
    return ", ".join(value or ALL_VALUES for value in key) or "everything"
