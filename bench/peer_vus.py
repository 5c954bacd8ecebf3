"""VUS-PR of scores by TSB-AD's own code; runs in an environment of its own, not in ours.

Usage: `python peer_vus.py FOLDER`, with NAME.npz of `labels` (0 or 1) and `scores` of rows. Prints
JSON: a figure for each file by its name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

WINDOW, THRESHOLDS = 100, 250  # TSB-AD's defaults

if __name__ == "__main__":
    from TSB_AD.evaluation.basic_metrics import (  # type: ignore[import-not-found]  # peers'
        generate_curve,
    )

    figures = {}
    for path in sorted(Path(sys.argv[1]).glob("*.npz")):
        with np.load(path, allow_pickle=False) as saved:
            labels, scores = saved["labels"].astype(int), saved["scores"]
        figures[path.stem] = float(generate_curve(labels, scores, WINDOW, "opt", THRESHOLDS)[-1])
    print(json.dumps(figures))
