"""What drove an anomaly, in one paragraph and in tables."""

from __future__ import annotations

import json
from dataclasses import asdict

import pandas as pd

from lib.causes.model import Attribution, Graph, Share
from lib.ui.anomaly_words import amount, change

SURE, UNSURE = 1.0, 0.0
LITTLE = 3.0  # percent; less goes without a word


def paragraph(found: Attribution, when: str) -> str:
    """Return what happened to the target, which measures explain it, and what is next."""
    text = f"{found.target} was {change(found.observed, found.expected)} what was expected, {when}"
    told = [one for one in found.shares if one.percent >= LITTLE]
    if told:
        text += ": " + ", ".join(_part(one, first=at == 0) for at, one in enumerate(told))
        text += f"; {found.unexplained.percent:.0f} % is unexplained."
    else:
        text += ". No measure here explains it."
    if found.counteracting:
        names = ", ".join(one.measure for one in found.counteracting[:3])
        text += f" {names} pushed the other way."
    coming = [one.measure for one in found.effects if not one.anomalous]
    hit = [one.measure for one in found.effects if one.anomalous]
    if hit:
        text += f" {', '.join(hit)} moved with it."
    if coming:
        text += f" {', '.join(coming)} may be next."
    return text + f" {_sure(found)}"


def shares_frame(found: Attribution) -> pd.DataFrame:
    """Return the shares as rows, the unexplained one and what pushed the other way last."""
    rows = [
        (one.measure, one.percent, _range(one), amount(one.amount), "explains")
        for one in found.shares
    ]
    own = found.unexplained
    rows.append(("not explained", own.percent, _range(own), amount(own.amount), "explains"))
    rows += [
        (one.measure, one.percent, "", amount(one.amount), "pushed the other way")
        for one in found.counteracting
    ]
    return pd.DataFrame(rows, columns=["measure", "share", "interval", "amount", "how"])


def edges_frame(graph: Graph) -> pd.DataFrame:
    """Return the edges as rows."""
    return pd.DataFrame(
        {
            "cause": [one.cause for one in graph.edges],
            "effect": [one.effect for one in graph.edges],
            "way": ["→" if one.directed else "open" for one in graph.edges],
            "lag": [one.lag for one in graph.edges],
            "strength": [one.strength for one in graph.edges],
            "p": [one.p_value for one in graph.edges],
            "series": [100 * one.share for one in graph.edges],
            "from": [str(one.origin) for one in graph.edges],
        }
    )


def as_json(found: Attribution, graph: Graph) -> str:
    """Return attribution and graph as JSON; what is not known is null."""
    data = {"attribution": asdict(found), "graph": asdict(graph)}
    return json.dumps(_plain(data), indent=1, allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - not a number
        return None
    return value


def _part(one: Share, *, first: bool) -> str:
    verb = " explains" if first else ""
    return f"{one.measure}{verb} {one.percent:.0f} % [{one.low:.0f} to {one.high:.0f}]"


def _range(one: Share) -> str:
    return f"{one.low:.0f} to {one.high:.0f} %"


def _sure(found: Attribution) -> str:
    if not found.shares:
        return ""
    if found.agreement >= SURE:
        return "Two scores that need no mechanism name the same measure first."
    if found.agreement > UNSURE:
        return "One of two scores that need no mechanism names the same measure first."
    return "Scores that need no mechanism name another measure first: read the shares with care."
