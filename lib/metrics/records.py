"""Datasets, anomaly groups and alert rules as JSON data, and back."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lib.metrics.model import MetricsError

Record = TypeVar("Record")

_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def as_data(record: Any) -> dict[str, Any]:
    """Return a frozen dataclass as JSON data."""
    data: dict[str, Any] = _adapter(type(record)).dump_python(record, mode="json")
    return data


def read_data(kind: type[Record], data: object) -> Record:
    """Return the dataclass that JSON data holds; raises `MetricsError` naming what is wrong."""
    try:
        record: Record = _adapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise MetricsError(f"{kind.__name__}: {place or 'data'}: {first['msg']}") from error
    return record


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
