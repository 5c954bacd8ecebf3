from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

import bench.__main__
from bench.__main__ import BENCHES, main
from bench.result import Row, as_json, as_table

ROWS = [
    Row(
        "3,000 words",
        "request",
        "ms",
        "lower",
        12.5,
        {"sumy TextRank": 70.0},
        "under 50 ms",
        met=True,
    ),
    Row("news", "ROUGE-1", "F1 x 100", "higher", 1.0, goal="at or above", met=False),
    Row("calls", "ROUGE-1", "F1 x 100", "higher", 18_000.0),
]


def test_the_json_has_the_agreed_shape() -> None:
    data = json.loads(json.dumps(as_json("speed", ROWS)))
    assert list(data) == ["bench", "machine", "date", "rows"]
    assert datetime.fromisoformat(data["date"]).tzinfo is not None
    assert data["rows"][0] == {
        "case": "3,000 words",
        "metric": "request",
        "unit": "ms",
        "better": "lower",
        "ours": 12.5,
        "peers": {"sumy TextRank": 70.0},
        "goal": "under 50 ms",
        "met": True,
    }
    assert data["rows"][2]["met"] is None


def test_the_table_marks_missed_goals() -> None:
    header, line, fast, missed, plain = as_table(ROWS).split("\n")
    assert header.split() == ["case", "metric", "ours", "peers", "goal"]
    assert set(line) == {"-"}
    assert "sumy TextRank 70" in fast
    assert fast.endswith("met")
    assert missed.endswith("MISSED")
    assert plain.endswith("1.8e+04")


def test_without_a_name_every_benchmark_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(BENCHES)


def test_a_missed_goal_is_written_and_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = type("Module", (), {"run": staticmethod(lambda _quick: ROWS)})
    monkeypatch.setattr(bench.__main__, "import_module", lambda _name: module)
    assert main(["summarize-speed", "--json", str(tmp_path / "one.json")]) == 0
    assert "1 of 2 goals missed." in capsys.readouterr().out
    assert json.loads((tmp_path / "one.json").read_text())["bench"] == "summarize-speed"
    assert main(["all", "--json", str(tmp_path / "all.json")]) == 0
    results = json.loads((tmp_path / "all.json").read_text())
    assert [each["bench"] for each in results] == list(BENCHES)
