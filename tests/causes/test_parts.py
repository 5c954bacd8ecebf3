from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.causes.model import CausesError, Matrix
from lib.causes.parts import at_fault, calls_of

PARTS = ("site", "search", "pay", "table")
CALLS = (("site", "search"), ("site", "pay"), ("search", "table"))
NUMBER = np.array([100.0, 60.0, 30.0, 60.0])


def system(slower: dict[str, float], seed: int = 0) -> tuple[tuple[Matrix, Matrix], ...]:
    """Return past and present of a system in which some parts are slower by themselves."""
    random = np.random.default_rng(seed)

    def run(intervals: int, extra: dict[str, float]) -> tuple[Matrix, Matrix]:
        own = {
            name: 0.1 * np.exp(0.05 * random.normal(size=intervals)) + extra.get(name, 0.0)
            for name in PARTS
        }
        table = own["table"]
        search = own["search"] + table
        pay = own["pay"]
        site = own["site"] + 0.6 * search + 0.3 * pay
        calls = np.repeat(NUMBER[:, None], intervals, axis=1)
        return np.array([site, search, pay, table]), calls

    return run(500, {}), run(5, slower)


@pytest.mark.parametrize("part", PARTS)
def test_the_part_that_is_slower_by_itself_comes_first(part: str) -> None:
    past, now = system({part: 0.3})
    first, *_ = at_fault(PARTS, past, now, CALLS, "site")
    assert first.part == part
    at = PARTS.index(part)
    assert first.own == pytest.approx(0.3 * NUMBER[at], rel=0.1)


@given(st.permutations(PARTS), st.integers(0, 9))
def test_the_order_of_the_parts_does_not_matter(order: list[str], seed: int) -> None:
    past, now = system({"pay": 0.5}, seed)
    rows = [PARTS.index(name) for name in order]
    shuffled = [tuple(one[rows] for one in each) for each in (past, now)]
    found = at_fault(order, shuffled[0], shuffled[1], CALLS, "site")  # type: ignore[arg-type]  # pairs
    assert found == at_fault(PARTS, past, now, CALLS, "site")


def test_a_copy_that_sees_few_calls_does_not_take_the_blame() -> None:
    past, now = system({"search": 0.3})
    before, after = (
        (np.vstack([cost, cost[1]]), np.vstack([calls, calls[1] / 12]))
        for cost, calls in (past, now)
    )
    found = at_fault((*PARTS, "balancer"), before, after, (*CALLS, ("site", "balancer")), "site")
    assert found[0].part == "search"


def test_where_nothing_is_worse_nothing_has_an_excess() -> None:
    past, now = system({})
    assert {one.excess for one in at_fault(PARTS, past, now, CALLS, "site")} == {0.0}


def test_parts_that_the_target_does_not_call_are_left_out() -> None:
    past, now = system({"pay": 0.5})
    assert [one.part for one in at_fault(PARTS, past, now, CALLS, "search")] == ["table", "search"]


def test_a_circle_of_calls_ends() -> None:
    past, now = system({"pay": 0.5})
    found = at_fault(PARTS, past, now, (*CALLS, ("table", "site")), "site")
    assert found[0].part == "pay"


def test_a_part_that_nobody_called_is_left_out() -> None:
    past, now = system({"search": 0.3})
    silent = np.where(np.arange(4)[:, None] == 3, np.nan, now[0])
    found = at_fault(PARTS, past, (silent, now[1]), CALLS, "site")
    assert "table" not in {one.part for one in found}


def test_too_short_a_past_and_unknown_names_are_said() -> None:
    past, now = system({})
    with pytest.raises(CausesError, match="past has 20 intervals; 25"):
        at_fault(PARTS, (past[0][:, :20], past[1]), now, CALLS, "site")
    with pytest.raises(CausesError, match="'shop' is none of the parts"):
        at_fault(PARTS, past, now, CALLS, "shop")
    with pytest.raises(CausesError, match="Line 2 names no two parts"):
        calls_of("site -> search\nsite search", PARTS)
    assert calls_of("site -> search\n\n site → pay ", PARTS) == CALLS[:2]
