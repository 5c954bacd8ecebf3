from __future__ import annotations

from math import exp

import pytest

from bench.nab import PROFILES, file_score, normalised, probation

STANDARD = PROFILES["standard"]
WINDOW = [(500, 599)]


def test_probation_is_a_share_of_short_files_and_750_rows_of_long_ones() -> None:
    assert probation(1_000) == 150
    assert probation(20_000) == 750


def test_silence_scores_nothing() -> None:
    for weights in PROFILES.values():
        raw = file_score([], WINDOW, 1_000, weights)
        assert normalised(raw, 1, weights) == 0.0


def test_an_alarm_at_the_first_row_of_a_window_is_perfect() -> None:
    raw = file_score([500, 501, 580], WINDOW, 1_000, STANDARD)
    assert normalised(raw, 1, STANDARD) == pytest.approx(100.0)


def test_a_late_alarm_is_worth_less() -> None:
    middle = (2 / (1 + exp(-2.5)) - 1) / (2 / (1 + exp(-5.0)) - 1)
    assert file_score([550], WINDOW, 1_000, STANDARD) == pytest.approx(middle)


def test_a_false_alarm_costs_its_weight_and_less_right_behind_a_window() -> None:
    assert file_score([200], WINDOW, 1_000, STANDARD) == pytest.approx(-1.11)
    near = file_score([500, 600], WINDOW, 1_000, STANDARD)
    far = file_score([500, 950], WINDOW, 1_000, STANDARD)
    assert far == pytest.approx(1 - 0.11)
    assert far < near < 1


def test_alarms_in_probation_do_not_count() -> None:
    assert file_score([10], WINDOW, 1_000, STANDARD) == -1.0
