from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.aws import AwsError, open_aws
from lib.prices import TABLE, Price, live_prices, own_table, prices, read_prices, write_prices
from lib.settings import Settings
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws

__all__ = ["aws_double", "aws_settings", "no_aws"]


def product(amount: str) -> str:
    dimension = {"pricePerUnit": {"USD": amount}, "unit": "Hrs"}
    return json.dumps({"terms": {"OnDemand": {"T": {"priceDimensions": {"D": dimension}}}}})


def test_every_price_of_the_table_is_of_an_instance_type_and_dated() -> None:
    from lib.aws import check_shape

    found = read_prices(TABLE)
    assert len(found) > 30
    for name, price in found.items():
        variants = {"ProductionVariants": [{"InstanceType": name}]}
        assert check_shape("sagemaker", "CreateEndpointConfig", variants) == ()
        assert 0.01 < price.usd_per_hour < 200
        assert "20" in price.as_of
        assert price.source


def test_own_prices_go_over_the_table_and_nothing_else_is_kept(tmp_path: Path) -> None:
    now = Settings(data_dir=tmp_path)
    before = prices(now)
    mine = Price(0.1, "2026-11-01", "our contract")
    write_prices(now, {**before, "ml.m5.xlarge": mine})
    assert prices(now)["ml.m5.xlarge"] == mine
    assert prices(now)["ml.g5.xlarge"] == before["ml.g5.xlarge"]
    assert own_table(now).read_text().count("\n") == 2


def test_a_line_that_is_no_price_is_named(tmp_path: Path) -> None:
    table = tmp_path / "prices.csv"
    table.write_text("instance_type,usd_per_hour,as_of,source\nml.m5.xlarge,cheap,2026,me\n")
    with pytest.raises(ValueError, match=r"Line 2 of prices\.csv"):
        read_prices(table)
    with pytest.raises(ValueError, match="amount of US dollars"):
        Price(float("nan"), "2026", "me")


def test_live_prices_are_asked_of_the_pricing_api(
    aws_double: AwsDouble, aws_settings: Settings
) -> None:
    def answer(params: dict[str, object]) -> dict[str, object]:
        known = any(one["Value"] == "ml.m5.xlarge" for one in params["Filters"])  # type: ignore[attr-defined]  # as the wire has it
        return {"PriceList": [product("0.2300000000")] if known else []}

    aws_double.on("pricing", "GetProducts", answer)
    found = live_prices(open_aws(aws_settings), "us-east-1", ["ml.m5.xlarge", "ml.x.large"])
    assert [*found] == ["ml.m5.xlarge"]
    assert found["ml.m5.xlarge"].usd_per_hour == 0.23
    assert "AWS Price List" in found["ml.m5.xlarge"].source


def test_what_aws_refuses_or_writes_otherwise_is_said(
    aws_double: AwsDouble, aws_settings: Settings
) -> None:
    aws_double.on("pricing", "GetProducts", {"PriceList": ['{"terms": []}']})
    with pytest.raises(AwsError, match="another form"):
        live_prices(open_aws(aws_settings), "us-east-1", ["ml.m5.xlarge"])
    aws_double.fail("pricing", "GetProducts", WireError("AccessDeniedException", "no", 403))
    with pytest.raises(AwsError, match="pricing:GetProducts"):
        live_prices(open_aws(aws_settings), "us-east-1", ["ml.m5.xlarge"])
