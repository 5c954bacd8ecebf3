"""Metric tables out of files: a described job of Inference Recommender as JSON, or its CSV."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lib.aws import check_shape
from lib.recommender.model import Metrics, Origin

FIELDS = {
    "CostPerHour": "cost_per_hour",
    "CostPerInference": "cost_per_inference",
    "MaxInvocations": "max_invocations",
    "MaximumInvocations": "max_invocations",  # its name until 2022
    "ModelLatency": "model_latency",
    "CpuUtilization": "cpu_utilization",
    "MemoryUtilization": "memory_utilization",
    "ModelSetupTime": "model_setup_time",
}
MICROSECONDS_FROM = 60_000  # a real-time endpoint gives up after 60 s


class TableError(ValueError):
    """A file that is no metric table; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Table:
    """The rows of a file, and sentences on what was left out or converted."""

    rows: tuple[Metrics, ...]
    notes: tuple[str, ...] = ()


def read_table(data: bytes) -> Table:
    """Return the metric table of a JSON or CSV file; raise TableError where it is none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError("The file is no UTF-8 text. Choose a JSON or CSV file.") from error
    is_json = text.lstrip().startswith(("{", "["))
    table = _json_table(text) if is_json else _csv_table(text)
    return Table(table.rows, (*table.notes, *_unknown_types(table.rows)))


def _unknown_types(rows: Sequence[Metrics]) -> Iterator[str]:
    """Yield a sentence for each name that looks like an instance type and is none of AWS's."""
    for name in sorted({row.configuration for row in rows if row.configuration.startswith("ml.")}):
        variants = {"ProductionVariants": [{"InstanceType": name}]}
        if check_shape("sagemaker", "CreateEndpointConfig", variants):
            yield f"{name} is no instance type that AWS lists: look at its spelling."


def _json_table(text: str) -> Table:
    try:
        job = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise TableError("The file begins like JSON but is not. Export the job again.") from error
    if not isinstance(job, dict) or not {"JobName", "InferenceRecommendations"} & job.keys():
        raise TableError(
            "The JSON holds no InferenceRecommendations. Save the whole answer of "
            "DescribeInferenceRecommendationsJob."
        )
    status = job.get("Status", "COMPLETED")
    found = job.get("InferenceRecommendations") or []
    if not isinstance(found, list):
        raise TableError("InferenceRecommendations is no list. Export the job again.")
    if status == "FAILED":
        raise TableError(f"The job failed: {job.get('FailureReason', 'no reason given')}")
    if not found:
        raise TableError(f"The job is {status} and has no results. Import it when it has ended.")
    notes = [] if status == "COMPLETED" else [f"The job is {status}: more rows may follow."]
    rows = []
    for number, one in enumerate(found, 1):
        parts = [
            one.get(key, {}) if isinstance(one, dict) else {}
            for key in ("Metrics", "EndpointConfiguration", "ModelConfiguration")
        ]
        if not all(isinstance(part, dict) for part in parts):
            raise TableError(f"Recommendation {number} has another shape. Export the job again.")
        metrics, endpoint, model = parts
        variables = model.get("EnvironmentParameters")
        rows.append(_row(number, metrics, name_of(endpoint), variables, notes))
    return Table(tuple(rows), tuple(notes))


def _csv_table(text: str) -> Table:
    reader = csv.DictReader(io.StringIO(text))
    columns = set(reader.fieldnames or ())
    if "InstanceType" not in columns or not columns & FIELDS.keys():
        raise TableError(
            "The first line lacks InstanceType or the metrics. Name the columns as the service "
            "does: InstanceType, CostPerHour, CostPerInference, MaxInvocations, ModelLatency."
        )
    notes: list[str] = []
    rows = tuple(
        _row(number, line, line["InstanceType"] or "", line.get("EnvironmentParameters"), notes)
        for number, line in enumerate(reader, 1)
    )
    if not rows:
        raise TableError("The table has no rows. Export the results of a job that has ended.")
    return Table(rows, tuple(notes))


def name_of(endpoint: Mapping[str, Any]) -> str:
    """Return an EndpointConfiguration in words: its instance type, or its serverless sizes."""
    serverless = endpoint.get("ServerlessConfig")
    if isinstance(serverless, dict):
        memory, most = serverless.get("MemorySizeInMB"), serverless.get("MaxConcurrency")
        return f"serverless {memory} MB, {most} at once"
    return str(endpoint.get("InstanceType") or endpoint.get("VariantName") or "")


def _row(
    number: int, metrics: Mapping[str, Any], name: str, variables: object, notes: list[str]
) -> Metrics:
    values: dict[str, Any] = {}
    for field, ours in FIELDS.items():
        given = metrics.get(field)
        if given is None or given == "":
            continue
        try:
            value = float(given)
        except (TypeError, ValueError) as error:
            raise TableError(f"Row {number}: {field} is no number. Correct the file.") from error
        if isfinite(value):
            values[ours] = value
        else:
            notes.append(f"Row {number}: {field} was not measured.")
    if values.get("model_latency", 0) > MICROSECONDS_FROM:
        values["model_latency"] /= 1000
        notes.append(f"Row {number}: ModelLatency was taken as microseconds, as until 2022.")
    try:
        return Metrics(name, Origin.IMPORTED, environment=environment_of(variables), **values)
    except ValueError as error:
        raise TableError(f"Row {number}: {error}") from error


def environment_of(given: object) -> tuple[tuple[str, str], ...]:
    """Return variables in order; the CSV of a notebook holds them as a list in Python's words."""
    if isinstance(given, str):
        try:
            given = ast.literal_eval(given or "[]")
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError("EnvironmentParameters is no list. Correct the file.") from error
    if not isinstance(given, list):
        return ()
    return tuple(
        (str(one.get("Key")), str(one.get("Value"))) for one in given if isinstance(one, dict)
    )
