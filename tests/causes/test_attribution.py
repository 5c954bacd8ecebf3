from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.causes.attribution import attribute, of_series, what_if
from lib.causes.discovery import discover
from lib.causes.model import Attribution, CausesError, Knowledge
from tests.causes.funnels import DAY, FUNNEL, injected, observed

WINDOW = (4 * DAY + 100, 4 * DAY + 106)
KNOWN = Knowledge(order=FUNNEL)


def attributed(drops: tuple[float, float, float], seed: int = 0) -> Attribution:
    observations = injected(drops, WINDOW, seed=seed)
    return attribute(observations, discover(observations, KNOWN), "revenue", *WINDOW)


def percents(found: Attribution) -> dict[str, float]:
    return {one.measure: one.percent for one in (*found.shares, found.unexplained)}


@pytest.mark.parametrize(
    ("drops", "wanted"),
    [
        ((-0.3, 0, 0), (100, 0, 0)),
        ((0, -0.4, 0), (0, 100, 0)),
        ((-0.2, -0.2, 0), (50, 50, 0)),
        ((-0.1, -0.2, -0.3), (17, 33, 50)),
        ((0.5, 0.25, 0), (67, 33, 0)),
    ],
)
def test_injected_shares_are_recovered(
    drops: tuple[float, float, float], wanted: tuple[float, float, float]
) -> None:
    found = attributed(drops)
    shares = percents(found)
    assert sum(shares.values()) == pytest.approx(100, abs=1e-6)
    errors = [abs(shares.get(name, 0.0) - part) for name, part in zip(FUNNEL, wanted, strict=False)]
    assert np.mean(errors) <= 5
    assert found.shares[0].low <= found.shares[0].percent <= found.shares[0].high


def test_the_amounts_add_up_to_the_deviation() -> None:
    found = attributed((-0.1, -0.2, -0.3))
    parts = sum(one.amount for one in (*found.shares, found.unexplained, *found.counteracting))
    assert parts == pytest.approx(found.observed - found.expected, rel=1e-6)
    everything = {one.measure: 1.0 for one in found.shares}
    assert what_if(found, everything) == pytest.approx(found.expected, rel=0.1)
    assert what_if(found, {}) == found.observed


def test_what_pushes_the_other_way_is_shown_apart() -> None:
    found = attributed((0.2, 0, -0.5))
    assert found.shares[0].measure == "orders"
    assert found.counteracting[0].measure == "visits"
    assert found.counteracting[0].amount > 0
    assert sum(percents(found).values()) == pytest.approx(100)


def test_root_causes_by_scores_agree_and_effects_are_named() -> None:
    observations = injected((0, -0.4, 0), WINDOW)
    discovered = discover(observations, KNOWN)
    found = attribute(observations, discovered, "clicks", *WINDOW)
    assert found.unexplained.percent > 95
    assert [(one.measure, one.anomalous) for one in found.effects] == [
        ("orders", True),
        ("revenue", True),
    ]
    of_revenue = attribute(observations, discovered, "revenue", *WINDOW)
    assert of_revenue.traversal[0][0] == "clicks"
    assert of_revenue.agreement == 1


def test_the_values_of_a_dimension_share_the_deviation() -> None:
    observations = injected((0, 0, 0), WINDOW)
    values = observations.values.copy()
    hit = np.array([key[0] == "1" for key in observations.series])
    values[hit, WINDOW[0] : WINDOW[1]] *= 0.4
    spoiled = replace(observations, values=values)
    found = attribute(spoiled, discover(spoiled, KNOWN), "revenue", *WINDOW)
    first, share = found.by_value["shop"][0]
    assert first == "1"
    assert share > 90


def test_some_series_are_explained_alone() -> None:
    observations = injected((0, 0, 0), WINDOW)
    values = observations.values.copy()
    hit = [at for at, key in enumerate(observations.series) if key[0] == "1"]
    values[hit, WINDOW[0] : WINDOW[1], 1:] *= 0.4
    spoiled = replace(observations, values=values)
    discovered = discover(spoiled, KNOWN)
    keys = {spoiled.series[at] for at in hit}
    some, theirs = of_series(spoiled, discovered, keys)
    assert set(some.series) == keys
    found = attribute(some, theirs, "revenue", *WINDOW)
    assert found.shares[0].measure == "clicks"
    assert found.shares[0].percent > 90
    assert found.observed == pytest.approx(0.4 * found.expected, rel=0.1)
    assert of_series(spoiled, discovered, set())[0] is spoiled
    shop = spoiled.series[0][0]
    every, _ = of_series(spoiled, discovered, {(shop, None)})
    assert every.series == tuple(key for key in spoiled.series if key[0] == shop)


def test_the_same_is_found_again() -> None:
    assert percents(attributed((-0.1, -0.2, 0))) == percents(attributed((-0.1, -0.2, 0)))


def test_what_the_data_cannot_tell_is_said() -> None:
    observations = injected((0, 0, 0), WINDOW)
    discovered = discover(observations, KNOWN)
    found = attribute(observations, discovered, "visits", *WINDOW)
    assert any("No measure here is found to drive visits" in note for note in found.notes)
    assert any("hardly off in this window" in note for note in found.notes)
    with pytest.raises(CausesError, match="'profit' is not among"):
        attribute(observations, discovered, "profit", *WINDOW)
    with pytest.raises(CausesError, match="outside the data"):
        attribute(observations, discovered, "visits", 0, 3)


def test_many_measures_are_divided_by_permutations() -> None:
    random = np.random.default_rng(8)
    count = 15
    values = np.exp(0.1 * random.standard_t(5, size=(6, 900, count)))
    values[:, :, -1] = 1 + values[:, :, :-1].mean(axis=2) + 0.001 * random.normal(size=(6, 900))
    values[:, 700:704, 0] *= 3
    values[:, 700:704, -1] += 2 * values[:, 700:704, 0] / (3 * (count - 1))
    names = tuple(f"m{at}" for at in range(count))
    knowledge = Knowledge(forced=frozenset((name, "m14") for name in names[:-1]))
    observations = observed(values, names)
    found = attribute(observations, discover(observations, knowledge), "m14", 700, 704)
    assert found.shares[0].measure == "m0"
    assert sum(percents(found).values()) == pytest.approx(100)
