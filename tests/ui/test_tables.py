"""A downloaded table is data, never a formula."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from lib.ui.tables import csv_text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutral(cell: str) -> None:
    text = csv_text(pd.DataFrame({"cell": [cell]}))
    assert pd.read_csv(io.StringIO(text))["cell"][0] == f"'{cell}"


def test_numbers_keep_their_sign() -> None:
    assert csv_text(pd.DataFrame({"change": [-1.5]})) == "change\n-1.5\n"
