"""Run one benchmark, or all: `python -m bench NAME [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bench.result import Row, as_json, as_table

BENCHES = {
    "summarize-quality": (
        "bench.summarize_quality",
        "ROUGE of the summaries against lead, sumy's engines and the greedy oracle.",
    ),
    "summarize-speed": (
        "bench.summarize_speed",
        "Time from text to summary against sumy's engines, and of a model against transformers.",
    ),
    "summarize-support": (
        "bench.summarize_support",
        "What each sign of support tells of human judgements; precision of the number marks.",
    ),
    "search": (
        "bench.search",
        "Facets with nested counts at 1M and 10M documents, against tantivy, DuckDB and SQLite.",
    ),
    "search-quality": (
        "bench.search_quality",
        "nDCG@10 of the search on collections with judged questions, against bm25s.",
    ),
    "detect": (
        "bench.detect",
        "Points scored a second, memory, one new interval, against AutoETS and Prophet.",
    ),
    "detect-quality": (
        "bench.detect_quality",
        "Online NAB score at a fixed severity; nothing fitted on the answers.",
    ),
    "localisation": (
        "bench.localisation",
        "Which combination of values deviates: exact answers, against Adtributor and RiskLoc.",
    ),
    "alerts": (
        "bench.alerts",
        "A million anomaly groups against a thousand alerts.",
    ),
    "causes-test": (
        "bench.causes_test",
        "Size, power and funnels of the tests for causes.",
    ),
    "causes-quality": (
        "bench.causes_quality",
        "The service at fault in known incidents, and injected shares recovered.",
    ),
    "causes-speed": (
        "bench.causes_speed",
        "Time to find what drives what and to attribute one anomaly, against statsmodels.",
    ),
    "load-generator": (
        "bench.load_generator",
        "p99 of a server that stalls against its schedule's truth and a closed loop; overhead.",
    ),
    "profile-read": (
        "bench.profile_read",
        "A large profile read at first and again, against polars and smdebug.",
    ),
    "verdicts": ("bench.verdicts", "Verdicts on runs whose bottleneck is known."),
    "sweep": ("bench.sweep", "Whether two load tests of one model agree."),
    "pages": (
        "bench.pages",
        "Every page against an empty one: warm open, rerun, CPU, 100 sessions.",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments name; return 0, also when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[*BENCHES, "all"], help="which benchmark")
    parser.add_argument("--quick", action="store_true", help="end within 60 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    options = parser.parse_args(arguments)
    if options.name is None:
        for name, (_, line) in BENCHES.items():
            print(f"{name:<20}{line}")
        return 0
    names = list(BENCHES) if options.name == "all" else [options.name]
    results = [run(name, quick=options.quick) for name in names]
    if options.json:
        data = results if options.name == "all" else results[0]
        options.json.write_text(json.dumps(data, indent=1) + "\n")
    return 0


def run(name: str, *, quick: bool) -> dict[str, object]:
    """Run one benchmark, print its table, and return its result as JSON data."""
    print(f"\n{name}: {BENCHES[name][1]}")
    rows: list[Row] = import_module(BENCHES[name][0]).run(quick)
    missed = sum(row.met is False for row in rows)
    if rows:
        print(as_table(rows))
        print(f"{missed} of {sum(row.met is not None for row in rows)} goals missed.")
    return as_json(name, rows)


if __name__ == "__main__":
    raise SystemExit(main())
