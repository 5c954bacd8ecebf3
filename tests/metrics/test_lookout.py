from __future__ import annotations

import json

import pytest

from lib.metrics.lookout import export_detector, import_detector
from lib.metrics.model import (
    Aggregation,
    Detector,
    DetectorState,
    Frequency,
    Measure,
    MetricsError,
    Missing,
    Unit,
)

METRIC_SET = {
    "MetricSetName": "AlertFiltersDataset",
    "MetricList": [
        {"MetricName": "revenue", "AggregationFunction": "SUM"},
        {"MetricName": "price", "AggregationFunction": "AVG"},
    ],
    "DimensionList": ["category", "seller", "marketplace"],
    "TimestampColumn": {"ColumnName": "timestamp", "ColumnFormat": "yyyy-MM-dd HH:mm:ss"},
    "MetricSetFrequency": "PT5M",
    "Timezone": "America/New_York",
    "Offset": 120,
    "MetricSource": {
        "S3SourceConfig": {"TemplatedPathList": ["s3://bucket/live/{{yyyyMMdd}}/{{HHmm}}"]}
    },
}
TEMPLATE = """
Resources:
  Detector:
    Type: AWS::LookoutMetrics::AnomalyDetector
    Properties:
      AnomalyDetectorName: TestAlertFilters
      AnomalyDetectorConfig: {AnomalyDetectorFrequency: PT1H}
      MetricSetList:
        - MetricSetName: AlertFiltersDataset
          MetricList: [{MetricName: revenue, AggregationFunction: SUM}]
          DimensionList: [marketplace]
          TimestampColumn: {ColumnName: timestamp}
          MetricSource: {S3SourceConfig: {HistoricalDataPathList: [!Sub "s3://${Bucket}/x"]}}
"""


def test_a_dataset_is_read_from_the_answer_of_the_service() -> None:
    found = import_detector(
        json.dumps([{"AnomalyDetectorName": "TestAlertFilters"}, METRIC_SET]).encode()
    )
    assert found.name == "TestAlertFilters"
    dataset = found.dataset
    assert dataset.measures == (
        Measure("revenue", "revenue"),
        Measure("price", "price", Aggregation.AVG, missing=Missing.GAP),
    )
    assert dataset.dimensions == ("category", "seller", "marketplace")
    assert dataset.frequency == Frequency(5, Unit.MINUTE)
    assert (dataset.zone, dataset.offset_s, dataset.timestamp) == (
        "America/New_York",
        120,
        "timestamp",
    )
    assert dataset.source == {"kind": "s3", "bucket": "bucket", "prefix": "live/"}


def test_a_template_is_read() -> None:
    found = import_detector(TEMPLATE.encode())
    assert found.name == "TestAlertFilters"
    assert found.dataset.frequency == Frequency(1, Unit.HOUR)


def test_what_is_written_is_read_again() -> None:
    found = import_detector(TEMPLATE.encode())
    text = export_detector(Detector("d", found.name, found.dataset, DetectorState.ACTIVE))
    assert import_detector(text.encode()) == found


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{}", "no dataset"),
        (
            json.dumps(METRIC_SET | {"MetricSetFrequency": "PT2M"}).encode(),
            "'PT2M' is no frequency",
        ),
        (
            json.dumps(
                METRIC_SET | {"MetricList": [{"MetricName": "a", "AggregationFunction": "MAX"}]}
            ).encode(),
            "'MAX' is no aggregation",
        ),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, says: str) -> None:
    with pytest.raises(MetricsError, match=says):
        import_detector(data)
