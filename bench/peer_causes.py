"""Times tigramite's PCMCI and dowhy's attribution; runs in an environment of its own, not in ours.

Usage: `python peer_causes.py VALUES.npy LAGS ROW`, with VALUES [interval, measure] of one series,
in which each measure follows the one before it. Prints JSON: seconds of PCMCI with partial
correlations, and of dowhy's fit and attribution of the last measure at a row.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pcmci_seconds(values: NDArray[np.float64], lags: int) -> float:
    """Return how long PCMCI takes on all measures of a series."""
    from tigramite import data_processing  # type: ignore[import-not-found]  # peers' environment
    from tigramite.independence_tests.parcorr import (  # type: ignore[import-not-found]  # same
        ParCorr,
    )
    from tigramite.pcmci import PCMCI  # type: ignore[import-not-found]  # same

    begun = perf_counter()
    search = PCMCI(data_processing.DataFrame(values), ParCorr(significance="analytic"), verbosity=0)
    search.run_pcmci(tau_max=lags, pc_alpha=0.05)
    return perf_counter() - begun


def dowhy_seconds(values: NDArray[np.float64], row: int) -> float:
    """Return how long fitting and attributing one row take, by dowhy's defaults."""
    import networkx as nx  # type: ignore[import-untyped]  # it ships no types
    import pandas as pd
    from dowhy import gcm  # type: ignore[import-not-found]  # peers' environment

    gcm.config.disable_progress_bars()
    names = [f"m{at}" for at in range(values.shape[1])]
    frame = pd.DataFrame(values, columns=names)
    begun = perf_counter()
    model: Any = gcm.InvertibleStructuralCausalModel(nx.DiGraph(list(pairwise(names))))
    gcm.auto.assign_causal_mechanisms(model, frame)
    gcm.fit(model, frame)
    gcm.attribute_anomalies(model, names[-1], frame.iloc[[row]])
    return perf_counter() - begun


if __name__ == "__main__":
    table = np.load(sys.argv[1], allow_pickle=False)
    print(
        json.dumps(
            {
                "tigramite": pcmci_seconds(table, int(sys.argv[2])),
                "dowhy": dowhy_seconds(table, int(sys.argv[3])),
            }
        )
    )
