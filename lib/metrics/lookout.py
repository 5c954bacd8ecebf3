"""Detectors of Lookout for Metrics, read from its JSON or CloudFormation, and written again.

Read are the answers of DescribeAnomalyDetector and DescribeMetricSet (together in one object or a
list), the requests of CreateAnomalyDetector and CreateMetricSet, and templates with
AWS::LookoutMetrics::AnomalyDetector. Shapes: botocore's model of lookoutmetrics (2017-07-25).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from lib.metrics.model import (
    Aggregation,
    Dataset,
    Detector,
    Frequency,
    Measure,
    MetricsError,
    Missing,
    SourceKind,
    Unit,
)

MAX_BYTES = 4_000_000
RESOURCE = "AWS::LookoutMetrics::AnomalyDetector"
FREQUENCIES: Mapping[str, Frequency] = {
    "PT5M": Frequency(5, Unit.MINUTE),
    "PT10M": Frequency(10, Unit.MINUTE),
    "PT1H": Frequency(1, Unit.HOUR),
    "P1D": Frequency(1, Unit.DAY),
}


@dataclass(frozen=True)
class Described:
    """A detector as a file describes it; its rows may lie where Sightline cannot read them."""

    name: str
    description: str
    dataset: Dataset


def read_document(data: bytes) -> Any:
    """Return what a JSON or YAML file holds; raises `MetricsError` where it is neither.

    CloudFormation's short functions are kept as their arguments and not evaluated.
    """
    if len(data) > MAX_BYTES:
        raise MetricsError(f"The file is larger than {MAX_BYTES // 1_000_000} MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetricsError("The file is not in UTF-8.") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return yaml.load(text, _Template)  # noqa: S506 - a safe loader, see below
    except yaml.YAMLError as error:
        raise MetricsError("The file is neither JSON nor YAML.") from error


def import_detector(data: bytes) -> Described:
    """Return the detector that a file describes; raises `MetricsError` where there is none."""
    parts = list(_parts(read_document(data)))
    sets = [one for one in parts if "MetricList" in one and "TimestampColumn" in one]
    if not sets:
        raise MetricsError("There is no dataset of Lookout for Metrics in this file.")
    found = sets[0]
    named = next((one for one in parts if one.get("AnomalyDetectorName")), {})
    config = named.get("AnomalyDetectorConfig") or {}
    code = found.get("MetricSetFrequency") or config.get("AnomalyDetectorFrequency") or "PT1H"
    if code not in FREQUENCIES:
        raise MetricsError(f"{code!r} is no frequency of the service.")
    column = found.get("TimestampColumn") or {}
    dataset = Dataset(
        _source(found.get("MetricSource") or {}),
        str(column.get("ColumnName", "")),
        tuple(_measure(one) for one in found["MetricList"]),
        tuple(map(str, found.get("DimensionList") or ())),
        FREQUENCIES[code],
        zone=str(found.get("Timezone") or "UTC"),
        offset_s=int(found.get("Offset") or 0),
    )
    name = named.get("AnomalyDetectorName") or found.get("MetricSetName") or ""
    return Described(str(name), str(named.get("AnomalyDetectorDescription") or ""), dataset)


def export_detector(detector: Detector) -> str:
    """Return a detector as the answers of DescribeAnomalyDetector and DescribeMetricSet."""
    dataset = detector.dataset
    source = dataset.source
    place: dict[str, Any] = {}
    if source.get("kind") == SourceKind.BUCKET:
        path = f"s3://{source.get('bucket', '')}/{source.get('prefix', '')}"
        place = {"S3SourceConfig": {"HistoricalDataPathList": [path]}}
    described = {
        "AnomalyDetectorName": detector.name,
        "AnomalyDetectorDescription": detector.description,
        "AnomalyDetectorConfig": {"AnomalyDetectorFrequency": dataset.frequency.iso},
        "MetricSet": {
            "MetricSetName": detector.name,
            "MetricList": [
                {"MetricName": one.column, "AggregationFunction": str(one.aggregation)}
                for one in dataset.measures
            ],
            "DimensionList": list(dataset.dimensions),
            "TimestampColumn": {"ColumnName": dataset.timestamp},
            "MetricSetFrequency": dataset.frequency.iso,
            "Timezone": dataset.zone,
            "Offset": dataset.offset_s,
            "MetricSource": place,
        },
    }
    return json.dumps(described, indent=1)


class _Template(yaml.SafeLoader):
    """YAML of CloudFormation."""


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    del suffix
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else None


_Template.add_multi_constructor("!", _function)


def _parts(document: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the object and all that describe a detector or a dataset within it."""
    if isinstance(document, list):
        for one in document:
            yield from _parts(one)
        return
    if not isinstance(document, dict):
        return
    yield document
    for resource in (document.get("Resources") or {}).values():
        if isinstance(resource, dict) and resource.get("Type") == RESOURCE:
            yield from _parts(resource.get("Properties"))
    for name in ("MetricSet", "MetricSetList", "AnomalyDetector"):
        yield from _parts(document.get(name))


def _measure(one: Mapping[str, Any]) -> Measure:
    name = str(one.get("MetricName", ""))
    function = str(one.get("AggregationFunction", "SUM"))
    if function not in {Aggregation.SUM, Aggregation.AVG}:
        raise MetricsError(f"{function!r} is no aggregation of the service.")
    kind = Aggregation(function)
    missing = Missing.ZERO if kind is Aggregation.SUM else Missing.GAP
    return Measure(name, name, kind, missing=missing)


def _source(place: Mapping[str, Any]) -> Mapping[str, str]:
    config = place.get("S3SourceConfig") or {}
    paths = [
        *(config.get("HistoricalDataPathList") or ()),
        *(config.get("TemplatedPathList") or ()),
    ]
    for path in paths:
        if isinstance(path, str) and path.startswith("s3://") and "${" not in path:
            bucket, _, prefix = path.removeprefix("s3://").partition("/")
            return {
                "kind": str(SourceKind.BUCKET),
                "bucket": bucket,
                "prefix": prefix.partition("{")[0],
            }
    return {}
