"""Times statsmodels' Granger tests; runs in an environment of its own, not in ours.

Usage: `python peer_granger.py VALUES.npy LAGS PAIRS`, with VALUES [interval, measure]. Prints JSON:
the seconds of so many pairs, each tested at one to LAGS lags as the function does.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from itertools import islice, permutations
from time import perf_counter

import numpy as np

if __name__ == "__main__":
    from statsmodels.tsa.stattools import (  # type: ignore[import-not-found]  # peers' environment
        grangercausalitytests,
    )

    values = np.load(sys.argv[1], allow_pickle=False)
    pairs = list(islice(permutations(range(values.shape[1]), 2), int(sys.argv[3])))
    begun = perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        for cause, effect in pairs:
            grangercausalitytests(values[:, [effect, cause]], maxlag=int(sys.argv[2]))
    print(json.dumps(perf_counter() - begun))
