"""Metric tables as files: CSV with the service's column names, and JSON as the service answers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from lib.recommender.model import Metrics

COLUMNS = {
    "CostPerHour": "cost_per_hour",
    "CostPerInference": "cost_per_inference",
    "MaxInvocations": "max_invocations",
    "ModelLatency": "model_latency",
    "CpuUtilization": "cpu_utilization",
    "MemoryUtilization": "memory_utilization",
    "ModelSetupTime": "model_setup_time",
}
SERVERLESS = re.compile(r"serverless (\d+) MB, (\d+) at once")


def as_described(rows: Sequence[Metrics], name: str) -> str:
    """Return the rows as DescribeInferenceRecommendationsJob answers, in JSON.

    What was not measured is left out; a configuration of this machine stands as the name of its
    variant, never as an instance type.
    """
    data = {
        "JobName": name,
        "Status": "COMPLETED",
        "InferenceRecommendations": [_recommendation(row) for row in rows],
    }
    return json.dumps(data, indent=1, allow_nan=False)


def as_csv(rows: Sequence[Metrics]) -> str:
    """Return the rows as CSV with the service's column names; what is unknown is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["InstanceType", "EnvironmentParameters", *COLUMNS])
    for row in rows:
        given = [getattr(row, ours) for ours in COLUMNS.values()]
        writer.writerow(
            [
                row.configuration,
                str(_environment(row)),
                *("" if v is None else repr(v) for v in given),
            ]
        )
    return out.getvalue()


def _recommendation(row: Metrics) -> dict[str, Any]:
    metrics = {
        theirs: getattr(row, ours)
        for theirs, ours in COLUMNS.items()
        if getattr(row, ours) is not None
    }
    return {
        "Metrics": metrics,
        "EndpointConfiguration": _endpoint(row.configuration),
        "ModelConfiguration": {"EnvironmentParameters": _environment(row)},
    }


def _endpoint(configuration: str) -> dict[str, Any]:
    found = SERVERLESS.fullmatch(configuration)
    if found:
        sizes = {"MemorySizeInMB": int(found[1]), "MaxConcurrency": int(found[2])}
        return {"ServerlessConfig": sizes}
    key = "InstanceType" if configuration.startswith("ml.") else "VariantName"
    return {key: configuration}


def _environment(row: Metrics) -> list[dict[str, str]]:
    return [{"Key": key, "ValueType": "string", "Value": value} for key, value in row.environment]
