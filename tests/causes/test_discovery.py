from __future__ import annotations

import numpy as np
import pytest

from lib.causes.discovery import definitions_of, descendants, discover, parents
from lib.causes.model import CausesError, Knowledge, Origin
from tests.causes.funnels import FUNNEL, TRUE_EDGES, counted, observed


@pytest.mark.parametrize("persistence", [0.0, 0.3, 0.8])
def test_a_funnel_within_one_interval_is_found_with_its_ways(persistence: float) -> None:
    observations = counted(persistence)
    alone = discover(observations).graph
    assert {frozenset((one.cause, one.effect)) for one in alone.edges} == set(
        map(frozenset, TRUE_EDGES)
    )
    told = {(one.cause, one.effect) for one in alone.edges if one.directed and one.lag == 0}
    assert told <= TRUE_EDGES
    assert ("visits", "clicks") in told
    assert ("clicks", "orders") not in told  # rare counts do not tell the way
    graph = discover(observations, Knowledge(order=FUNNEL)).graph
    assert {(one.cause, one.effect) for one in graph.edges if one.directed} == TRUE_EDGES
    assert set(descendants(graph, "visits")) == {"clicks", "orders", "revenue"}
    assert descendants(graph, "other") == {}


def test_a_cause_of_an_interval_before_is_found_with_its_lag() -> None:
    random = np.random.default_rng(13)
    values = random.normal(size=(20, 800, 4))
    values[:, 2:, 1] += 0.6 * values[:, :-2, 0]
    graph = discover(observed(values)).graph
    assert [(one.cause, one.effect, one.lag) for one in graph.edges] == [("visits", "clicks", 2)]
    assert graph.edges[0].strength == pytest.approx(0.51, abs=0.1)
    assert graph.edges[0].share == 1
    assert graph.edges[0].origin is Origin.FOUND


def test_without_a_cause_there_is_no_edge_though_series_move_together() -> None:
    random = np.random.default_rng(4)
    shared = random.normal(size=(1, 600, 4))
    values = np.sqrt(0.6) * shared + np.sqrt(0.4) * random.normal(size=(30, 600, 4))
    assert discover(observed(values)).graph.edges == ()


def test_gaussian_shocks_do_not_tell_the_way_and_an_order_does() -> None:
    random = np.random.default_rng(5)
    values = random.normal(size=(10, 800, 4))
    values[:, :, 1] += 0.7 * values[:, :, 0]
    [edge] = discover(observed(values)).graph.edges
    assert {edge.cause, edge.effect} == {"visits", "clicks"}
    assert not edge.directed
    [edge] = discover(observed(values), Knowledge(order=("clicks", "visits"))).graph.edges
    assert (edge.cause, edge.effect, edge.directed) == ("clicks", "visits", True)


def test_what_the_user_knows_is_marked_and_wins() -> None:
    knowledge = Knowledge(
        forced=frozenset({("other", "visits")}),
        forbidden=frozenset({("visits", "clicks")}),
        derived={"revenue": ("orders",)},
    )
    graph = discover(counted(0.0, series=10), knowledge).graph
    edges = {(one.cause, one.effect): one for one in graph.edges}
    assert edges["other", "visits"].origin is Origin.USER
    assert edges["orders", "revenue"].origin is Origin.DERIVED
    assert ("visits", "clicks") not in edges
    assert "other" in {one.cause for one in parents(graph, "visits")}


@pytest.mark.parametrize(
    ("knowledge", "says"),
    [
        (Knowledge(order=("profit",)), "'profit' is no measure"),
        (
            Knowledge(forced=frozenset({("visits", "clicks"), ("clicks", "visits")})),
            "go in a circle",
        ),
        (
            Knowledge(
                forced=frozenset({("visits", "clicks")}),
                forbidden=frozenset({("visits", "clicks")}),
            ),
            "both forced and forbidden",
        ),
    ],
)
def test_what_cannot_be_known_is_refused(knowledge: Knowledge, says: str) -> None:
    with pytest.raises(CausesError, match=says):
        discover(counted(0.0, series=3, days=3), knowledge)


def test_copies_and_wandering_measures_are_named() -> None:
    random = np.random.default_rng(6)
    values = random.normal(size=(8, 700, 4))
    values[:, :, 1] = values[:, :, 0] * 3
    values[:, :, 3] = np.cumsum(values[:, :, 3], axis=1) * 5
    notes = " ".join(discover(observed(values)).graph.notes)
    assert "clicks is nearly a copy of visits and left out." in notes
    assert "revenue wander" in notes


def test_measures_made_of_others_are_read_from_formulas() -> None:
    made = definitions_of("revenue = orders * visits\n\norders=clicks + 2", FUNNEL)
    assert made == {"revenue": ("visits", "orders"), "orders": ("clicks",)}
    for wrong in ("profit = orders", "revenue = price", "revenue"):
        with pytest.raises(CausesError, match="Line 1 defines no measure"):
            definitions_of(wrong, FUNNEL)
