from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lib.causes import aggregation
from lib.causes.model import Matrix

SAFE_RULES = [*aggregation.RULES.values()]
EVERY_RULE = [*SAFE_RULES, aggregation.fisher]

Rule = Callable[[Matrix], Matrix]


@pytest.mark.parametrize("rule", SAFE_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_nothing_is_found_too_often_whatever_the_dependence(rule: Rule, correlation: float) -> None:
    from scipy.stats import norm

    noise = np.random.default_rng(1)
    common, own = noise.normal(size=(1, 4_000)), noise.normal(size=(40, 4_000))
    z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    found = (rule(norm.sf(z)) < 0.05).mean()
    assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4_000) + (
        0.02 if rule is aggregation.cauchy else 0
    )


def test_the_quantile_rule_is_twice_the_median() -> None:
    p_values = np.array([0.01, 0.02, 0.03, 0.6, 0.9])[:, None]
    assert aggregation.quantile(p_values)[0] == pytest.approx(0.06)


def test_the_adaptive_rule_is_the_best_of_all_shares() -> None:
    p_values = np.random.default_rng(2).uniform(size=40)
    ordered = np.sort(p_values)
    # The infimum over shares lies where a share reaches a rank: the rank's own share.
    best = min(ordered[rank - 1] / (rank / 40) for rank in range(2, 41))
    expected = min(1.0, (1 - np.log(0.05)) * best)
    assert aggregation.adaptive(p_values[:, None])[0] == pytest.approx(expected)


def test_cauchy_keeps_its_digits_in_the_far_tail() -> None:
    for p_value in (1e-5, 1e-20, 1e-200):
        assert aggregation.cauchy(np.full((3, 1), p_value))[0] == pytest.approx(p_value, rel=1e-3)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.__name__)
def test_series_that_were_not_tested_do_not_count(rule: Rule) -> None:
    p_values = np.array([[0.01, np.nan], [0.2, np.nan], [0.4, np.nan]])
    longer = np.vstack([p_values, np.full((5, 2), np.nan)])
    assert rule(longer)[0] == pytest.approx(rule(p_values)[0])
    assert np.isnan(rule(longer)[1])


def test_benjamini_hochberg_by_hand() -> None:
    adjusted = aggregation.benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03, 0.5]))
    assert adjusted == pytest.approx([0.04, 0.16 / 3, np.nan, 0.16 / 3, 0.5], nan_ok=True)
