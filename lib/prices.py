"""List prices of SageMaker instances: a dated table, what the operator wrote over it, AWS's list.

The table beside this file is read first; `prices.csv` in the data folder goes over it, row by row.
A price always carries its date and where it was read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from lib.aws import Aws, AwsError, aws_errors
from lib.settings import Settings

TABLE = Path(__file__).with_name("prices.csv")
REGION = "us-east-1"  # of the table
PRICING_REGION = "us-east-1"  # where the Pricing API answers
COLUMNS = ("instance_type", "usd_per_hour", "as_of", "source")
OUT_OF_AWS = "AWS Price List"


@dataclass(frozen=True)
class Price:
    """A list price in US dollars per hour and instance, when and where it was read.

    Raise ValueError where it is no amount.
    """

    usd_per_hour: float
    as_of: str
    source: str

    def __post_init__(self) -> None:
        if not (isfinite(self.usd_per_hour) and self.usd_per_hour >= 0):
            raise ValueError(f"A price is an amount of US dollars, not {self.usd_per_hour}.")


def prices(now_settings: Settings) -> dict[str, Price]:
    """Return the known prices of hosting, by instance type."""
    found = read_prices(TABLE)
    own = own_table(now_settings)
    return {**found, **read_prices(own)} if own.is_file() else found


def read_prices(path: Path) -> dict[str, Price]:
    """Return the prices of a table; raise ValueError with the line where one is wrong."""
    found = {}
    with path.open(newline="") as rows:
        for number, row in enumerate(csv.DictReader(rows), start=2):
            try:
                price = Price(float(row["usd_per_hour"]), row["as_of"], row["source"])
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"Line {number} of {path.name} is no price: {error}") from error
            found[row["instance_type"]] = price
    return found


def write_prices(now_settings: Settings, found: Mapping[str, Price]) -> None:
    """Keep prices over those of the table; what equals the table's is left out."""
    table = read_prices(TABLE)
    path = own_table(now_settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    with aside.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, price in sorted(found.items()):
            if table.get(name) != price:
                writer.writerow([name, price.usd_per_hour, price.as_of, price.source])
    aside.rename(path)


def own_table(now_settings: Settings) -> Path:
    """Return where the operator's prices are kept."""
    return now_settings.data_dir / "prices.csv"


def live_prices(aws: Aws, region: str, instances: Iterable[str]) -> dict[str, Price]:
    """Return what AWS's Pricing API says of hosting today; what it does not know is left out.

    Raises `AwsError`.
    """
    client = aws.client("pricing", region=PRICING_REGION)
    today = datetime.now(UTC).date().isoformat()
    found = {}
    for name in instances:
        filters = {"instanceName": name, "regionCode": region, "component": "Hosting"}
        with aws_errors("pricing", "GetProducts"):
            answer = client.get_products(
                ServiceCode="AmazonSageMaker",
                Filters=[
                    {"Type": "TERM_MATCH", "Field": field, "Value": value}
                    for field, value in filters.items()
                ],
            )
        amounts = [one for text in answer["PriceList"] for one in _amounts(text)]
        if amounts:
            found[name] = Price(max(amounts), today, f"{OUT_OF_AWS}, {region}")
    return found


def _amounts(text: str) -> list[float]:
    """Return the hourly prices on demand of one product of the price list."""
    try:
        product: dict[str, Any] = json.loads(text)
        return [
            float(dimension["pricePerUnit"]["USD"])
            for term in product["terms"]["OnDemand"].values()
            for dimension in term["priceDimensions"].values()
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AwsError("The price list of AWS has another form than is known here.") from error
