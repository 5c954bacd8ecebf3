"""What kind of technology each AWS service is, and what it is called."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("technologies.toml")
OTHER = "Other"  # services newer than the table


@dataclass(frozen=True)
class Product:
    """An AWS service as people know it."""

    name: str
    technology: str


@cache
def products() -> dict[str, Product]:
    """Return the product behind each service folder of botocore."""
    table: dict[str, dict[str, str]] = tomllib.loads(TABLE.read_text("utf-8"))
    return {
        folder: Product(name, technology)
        for technology, services in table.items()
        for folder, name in services.items()
    }


def product(folder: str, full_name: str) -> Product:
    """Return the product of a service folder, by its full name where the table lacks it."""
    return products().get(folder) or Product(full_name, OTHER)
