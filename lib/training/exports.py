"""A profile to take along: Parquet of the metrics, a trace for Perfetto, a report in HTML."""

from __future__ import annotations

import io
import json
from html import escape

import numpy as np

from lib.training.model import PHASES, Profile
from lib.training.money import Money
from lib.training.rules import RuleResult
from lib.training.verdict import Verdict

MOST_COUNTERS = 20_000  # samples of a channel in a trace


def as_parquet(profile: Profile) -> bytes:
    """Return the system metrics as Parquet: node, kind, name, dimension, time (UTC), value."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    counts = [len(one.times) for one in profile.system]
    labels = {
        field: pa.DictionaryArray.from_arrays(
            np.repeat(np.arange(len(counts), dtype=np.int32), counts),
            pa.array([getattr(one.channel, field) for one in profile.system], pa.string()),
        )
        for field in ("node", "kind", "name", "dimension")
    }
    empty = np.zeros(0, dtype=np.int64)
    times = np.concatenate([empty, *(one.times for one in profile.system)])
    values = np.concatenate([empty.astype(float), *(one.values for one in profile.system)])
    table = pa.table(
        {**labels, "time": pa.array(times, pa.timestamp("us", "UTC")), "value": pa.array(values)}
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def as_trace(profile: Profile) -> str:
    """Return events and metrics as a Chrome trace, which Perfetto opens; times from the start."""
    spans, start = profile.spans, profile.start
    events: list[dict[str, object]] = [
        {"ph": "M", "name": "process_name", "pid": at + 1, "args": {"name": worker}}
        for at, worker in enumerate(spans.workers)
    ]
    for row in range(len(spans)):
        phase = PHASES[spans.phase[row]]
        events.append(
            {
                "ph": "X", "name": spans.names[spans.name[row]], "cat": str(phase),
                "pid": int(spans.worker[row]) + 1, "tid": int(spans.phase[row]),
                "ts": int(spans.start[row]) - start, "dur": int(spans.duration[row]),
                "args": {"step": int(spans.step[row])},
            }
        )  # fmt: skip
    for one in profile.system:
        keep = slice(None, None, max(1, len(one.times) // MOST_COUNTERS))
        for time, value in zip(one.times[keep].tolist(), one.values[keep].tolist(), strict=True):
            events.append(
                {"ph": "C", "name": one.channel.label, "pid": 0, "ts": time - start,
                 "args": {"value": value}}
            )  # fmt: skip
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, allow_nan=False)


def as_report(
    profile: Profile, verdict: Verdict, money: Money, rules: tuple[RuleResult, ...]
) -> str:
    """Return a page of its own with verdict, money and rules; all text is escaped."""
    dollars = "unknown" if money.paid is None else f"${money.paid:,.2f}"
    saved = "unknown" if money.saved is None else f"${money.saved:,.2f}"
    rows = "".join(
        f"<tr><td>{escape(one.rule)}</td><td>{'fired' if one.fired else ''}</td>"
        f"<td>{escape(one.words)}</td></tr>"
        for one in rules
    )
    odd = "".join(f"<li>{one.count:,} {escape(one.words)}</li>" for one in profile.oddities)
    evidence = "".join(f"<li>{escape(one)}</li>" for one in verdict.evidence)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(profile.name)}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
td,th{{text-align:left;padding:.3rem 1rem .3rem 0;border-bottom:1px solid #ddd}}</style></head>
<body><h1>{escape(profile.name)}</h1>
<h2>Bound by: {escape(verdict.bound)}</h2>
<p>{verdict.share:.0%} of the time, confidence {verdict.confidence:.0%}</p>
<ul>{evidence}</ul><p>{escape(verdict.next_step)}</p>
<h2>Money</h2><p>{money.paid_hours:.2f} {escape(money.device)} hours paid, {money.busy_hours:.2f}
busy, {money.idle_hours:.2f} idle. Cost {dollars}; a fix would save {saved}.</p>
<h2>Rules</h2><table>{rows}</table>
<h2>Oddities</h2><ul>{odd or "<li>none</li>"}</ul></body></html>
"""
